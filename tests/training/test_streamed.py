"""A streamed task trains beside an ordinary one; resumed, and on two ranks, as if nothing was."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import run_ranks
from tests.remote import stores
from tests.remote.http_files import served
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
ZERO1 = Path(__file__).parents[2] / "deepspeed_configs/zero1.json"
SHORT = ["model.dropout_rate=0.0", "optimizer.decay=constant", "steps=9", "validation_rows=0"]


@pytest.fixture(scope="module")
def sharded(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The squares with the task `see` in 4 files, one of whose rows is bad, and `say` in one."""
    root = tmp_path_factory.mktemp("sharded")
    for name in ("data", "tokenizer"):
        shutil.copytree(squares / name, root / name)
    for path in squares.glob("*.yaml"):
        shutil.copy(path, root)
    lines = (root / "data/see_train.jsonl").read_text().splitlines(keepends=True)
    for number in range(4):
        (root / f"data/see_train-{number}.jsonl").write_text("".join(lines[number::4]))
    (root / "data/see_train.jsonl").unlink()
    see = (root / "see.yaml").read_text()
    (root / "see.yaml").write_text(
        see.replace("see_{split}.jsonl", "see_{split}.jsonl").replace(
            "splits: {train: train,", "stream: true, splits: {train: 'train-{0..3}',"
        )
    )
    text = (root / "run.yaml").read_text().replace(str(squares), str(root))
    (root / "run.yaml").write_text(text)
    return root


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model/model.safetensors")


def run_to(root: Path, output: Path, *more: str) -> Path:
    train(load_run(root / "run.yaml", [f"output={output}", *SHORT, *more]), progress=False)
    return output


@pytest.fixture(scope="module")
def alone(sharded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_to(sharded, tmp_path_factory.mktemp("alone") / "output")


def test_a_run_that_was_stopped_goes_on_with_the_same_batches(
    sharded: Path, alone: Path, tmp_path: Path
) -> None:
    output = run_to(sharded, tmp_path / "output", "steps=5")
    again = load_run(sharded / "run.yaml", [f"output={output}", *SHORT])
    train(again, resume=True, progress=False)
    expected = weights(alone)
    assert all(torch.equal(weight, expected[name]) for name, weight in weights(output).items())
    skipped = [
        {
            event["row"]
            for line in (each / "events.jsonl").read_text().splitlines()
            if (event := json.loads(line))["event"] == "bad_row"
        }
        for each in (alone, output)
    ]
    assert skipped[0] == skipped[1] == {"see_train-0.jsonl:2"}


def test_two_ranks_train_as_one_and_one_goes_on(sharded: Path, alone: Path, tmp_path: Path) -> None:
    run_ranks(WORKER, sharded / "run.yaml", tmp_path, ZERO1, *SHORT, "steps=5")
    keys = [f"output={tmp_path / 'zero1'}", f"engine={ZERO1}", *SHORT]
    train(load_run(sharded / "run.yaml", keys), resume=True, progress=False)
    expected = weights(alone)
    for name, weight in weights(tmp_path / "zero1").items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-4)


def test_one_file_in_parts_trains_and_goes_on(sharded: Path, tmp_path: Path) -> None:
    root = tmp_path / "parts"
    shutil.copytree(sharded, root)
    files = sorted((root / "data").glob("see_train-*.jsonl"))
    (root / "data/see_train.jsonl").write_text("".join(map(Path.read_text, files)))
    see = (root / "see.yaml").read_text().replace("'train-{0..3}'", "train")
    see = see.replace("stream: true", "stream: true, file_parts: 4")
    (root / "see.yaml").write_text(see)
    run = (root / "run.yaml").read_text().replace(str(sharded), str(root))
    (root / "run.yaml").write_text(run)
    expected = weights(run_to(root, tmp_path / "whole"))
    output = run_to(root, tmp_path / "output", "steps=5")
    again = load_run(root / "run.yaml", [f"output={output}", *SHORT])
    train(again, resume=True, progress=False)
    assert all(torch.equal(weight, expected[name]) for name, weight in weights(output).items())
    (root / "see.yaml").write_text(see.replace("file_parts: 4", "file_parts: 2"))
    with pytest.raises(UserError, match="task see"):
        train(load_run(root / "run.yaml", [f"output={output}", *SHORT]), resume=True)


def test_files_behind_a_url(
    sharded: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the data root, with all images; and what is wrong ends it with one message."""
    monkeypatch.setenv("UNIFIED_VL_CACHE", str(tmp_path / "cache"))
    with served(sharded / "data") as server:
        output = run_to(sharded, tmp_path / "output", f"data={server.url}")
        expected = weights(alone)
        assert all(torch.equal(weight, expected[name]) for name, weight in weights(output).items())
        server.faults["/see_train-2.jsonl"] = 403
        monkeypatch.setenv("UNIFIED_VL_CACHE", str(tmp_path / "empty"))
        with pytest.raises(UserError, match=r"see\.yaml:\d+: data\.path: .*HTTP 403"):
            run_to(sharded, tmp_path / "other", f"data={server.url}")


def in_tars(root: Path, folder: Path) -> Path:
    """The same run, whose task `see` is in tars with their images, but for the bad row."""
    shutil.copytree(root, folder)
    for path in sorted((folder / "data").glob("see_train-*.jsonl")):
        with tarfile.open(path.with_suffix(".tar"), "w") as tar:
            for number, line in enumerate(path.read_text().splitlines()):
                row = json.loads(line)
                if row["image"] == "missing.png":
                    continue
                (folder / "names.json").write_text(json.dumps({"names": row["names"]}))
                tar.add(folder / "data" / row["image"], f"{number}.image")
                tar.add(folder / "names.json", f"{number}.json")
    see = (folder / "see.yaml").read_text()
    for old, new in (
        ("reader: jsonl", "reader: webdataset"),
        ("{split}.jsonl", "{split}.tar"),
        ("column: names", "column: json.names"),
    ):
        see = see.replace(old, new)
    (folder / "see.yaml").write_text(see.replace(", validation: validation", ""))
    text = (folder / "run.yaml").read_text().replace(str(root), str(folder))
    (folder / "run.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["s3", "gs"])
@pytest.mark.parametrize("tars", [False, True], ids=["rows", "tars"])
def test_files_in_an_object_store(
    tars: bool,
    name: str,
    sharded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows with their images beside them, and tars that hold these; two threads read them."""
    monkeypatch.setenv("UNIFIED_VL_CACHE", str(tmp_path / "cache"))
    root = in_tars(sharded, tmp_path / "tars") if tars else sharded
    expected = weights(run_to(root, tmp_path / "here"))
    with getattr(stores, name)() as store:
        url = store.put(root / "data", "squares")
        output = run_to(root, tmp_path / "output", f"data={url}", "workers=2")
    assert all(torch.equal(weight, expected[name]) for name, weight in weights(output).items())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["batch_tokens=400", "batch_size=null"], "batch_tokens: nobody measures"),
        (["epochs=1", "steps=null"], "epochs: nobody counts"),
    ],
)
def test_what_needs_all_rows_is_refused(
    keys: list[str], message: str, sharded: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        train(
            load_run(sharded / "run.yaml", [f"output={tmp_path / 'no'}", *SHORT, *keys]),
            progress=False,
        )


def test_other_files_are_other_data(sharded: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(sharded, root)
    run = (root / "run.yaml").read_text().replace(str(sharded), str(root))
    (root / "run.yaml").write_text(run)
    output = run_to(root, tmp_path / "output", "steps=2")
    shutil.copy(root / "data/see_train-0.jsonl", root / "data/see_train-4.jsonl")
    see = (root / "see.yaml").read_text()
    (root / "see.yaml").write_text(see.replace("{0..3}", "{0..4}"))
    with pytest.raises(UserError, match="see"):
        train(
            load_run(root / "run.yaml", [f"output={output}", *SHORT]), resume=True, progress=False
        )
