"""What a resume finds changed or lost is said, and what it must not pass over is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.errors import UserError
from unified_vl.run_record import TIMED
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training import data_files
from unified_vl.training.data_files import changed_files, look_at
from unified_vl.training.trainer import train


@pytest.fixture(scope="module")
def begun(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and the output of a run that has ended after 2 steps."""
    root = tmp_path_factory.mktemp("begun")
    shutil.copytree(squares / "data", root / "data")
    train(make_run(squares, root, "steps=2"), progress=False)
    return root


def make_run(squares: Path, root: Path, *more: str) -> Run:
    places = [f"output={root / 'output'}", f"data={root / 'data'}"]
    return load_run(squares / "run.yaml", [*places, "steps=4", "optimizer.decay=constant", *more])


@pytest.fixture
def copied(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun, tmp_path / "copy")  # with the times of the files
    return tmp_path / "copy"


def events(root: Path, kind: str) -> list[dict[str, Any]]:
    lines = (root / "output" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def lose_all(output: Path) -> None:
    shutil.rmtree(output / "checkpoints")


def lose_the_folders(output: Path) -> None:
    for folder in (output / "checkpoints").glob("step-*"):
        shutil.rmtree(folder)
    shutil.rmtree(output / "model")
    shutil.rmtree(output / "best_model")


def lose_all_but_the_best_model(output: Path) -> None:
    lose_all(output)
    shutil.rmtree(output / "model")


def lose_all_but_the_record(output: Path) -> None:
    lose_all_but_the_best_model(output)
    shutil.rmtree(output / "best_model")
    with (output / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "validation", "step": 3, "task": "see", "loss": 1.0}\n[]\n')


@pytest.mark.parametrize(
    ("lose", "trace"),
    [
        (lose_all, "output/model"),
        (lose_the_folders, "pointer.json"),
        (lose_all_but_the_best_model, "output/best_model"),
        (lose_all_but_the_record, "step 3 in .*events.jsonl"),
    ],
)
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(
    squares: Path, copied: Path, lose: Callable[[Path], None], trace: str
) -> None:
    lose(copied / "output")
    record = (copied / "output" / "events.jsonl").read_bytes()
    with pytest.raises(UserError, match=rf"there is .*{trace}, but no checkpoint to go on from"):
        train(make_run(squares, copied), resume=True, progress=False)
    assert (copied / "output" / "events.jsonl").read_bytes() == record


def test_a_run_that_was_killed_before_its_first_one_is_begun_anew(
    squares: Path, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_all_but_the_best_model(copied / "output")
    shutil.rmtree(copied / "output" / "best_model")
    train(make_run(squares, copied), resume=True)
    assert "there is no checkpoint yet: starting at the first step" in capsys.readouterr().err
    assert [event["step"] for event in events(copied, "step")] == [1, 2, 3, 4]


def test_a_budget_of_tokens_without_padding_goes_on_bit_for_bit(
    squares: Path, tmp_path: Path
) -> None:
    """Over several windows, whose numbers of batches a resume does not count again."""
    keys = ("batch_size=null", "batch_tokens=400", "packing=true", "checkpoint_every=100")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for root in (whole, parts):
        shutil.copytree(squares / "data", root / "data")
    train(make_run(squares, whole, *keys, "steps=14"), progress=False)
    for steps in (5, 11, 14):
        run = make_run(squares, parts, *keys, f"steps={steps}")
        train(run, resume=steps > 5, progress=False)
    found, expected = (
        [{k: v for k, v in event.items() if k not in TIMED} for event in events(root, "step")]
        for root in (parts, whole)
    )
    assert found == expected
    assert {event["density"] for event in found} == {1.0}
    assert found[-1]["epochs"] > 1
    weights = [(root / "output/model/model.safetensors").read_bytes() for root in (parts, whole)]
    assert weights[0] == weights[1]


def exchange(path: Path, old: str, new: str) -> None:
    """Another text of the same length, so that only the content tells."""
    text = path.read_text(encoding="utf-8")
    assert old in text and len(old) == len(new)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def repaint(data: Path) -> None:
    Image.new("RGB", (8, 8), "yellow").save(data / "red.png")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a training text": (
        lambda data: exchange(data / "see_train.jsonl", "a green", "a greem"),
        "see_train.jsonl has changed",
    ),
    "a text of another task": (
        lambda data: exchange(data / "say_train.jsonl", "rot", "not"),
        "say_train.jsonl has changed",
    ),
    "a validation text": (
        lambda data: exchange(data / "see_validation.jsonl", "all of", "All of"),
        "see_validation.jsonl has changed",
    ),
    "a picture": (repaint, "red.png has changed"),
    "a picture that is gone": (lambda data: (data / "red.png").unlink(), "red.png is gone"),
    "a picture that was missing": (
        lambda data: Image.new("RGB", (8, 8)).save(data / "missing.png"),
        "missing.png is new",
    ),
    "one row more": (
        lambda data: (data / "say_train.jsonl").write_text(
            (data / "say_train.jsonl").read_text() * 2
        ),
        "say_train.jsonl has changed",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_by_name_or_accepted(
    squares: Path, copied: Path, change: str
) -> None:
    make, told = CHANGES[change]
    make(copied / "data")
    run = make_run(squares, copied)
    with pytest.raises(UserError, match=rf"{told}; expected the same data; --accept-changed-data"):
        train(run, resume=True, progress=False)
    assert events(copied, "resume") == []
    train(run, resume=True, progress=False, accept_changed_data=True)
    (event,) = events(copied, "changed_data")
    assert event == {"event": "changed_data", "step": 2, "files": [told]}
    train(run, resume=True, progress=False)  # it is now the data of its checkpoints
    assert len(events(copied, "changed_data")) == 1


def test_copied_data_are_the_same_data(squares: Path, copied: Path) -> None:
    for path in (copied / "data").iterdir():
        os.utime(path)
    train(make_run(squares, copied), resume=True, progress=False)
    assert events(copied, "changed_data") == []


def test_beyond_the_limit_size_and_time_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_files, "MOST_CONTENT", 10)
    files = {}
    for name in ("first", "second", "third"):
        (tmp_path / name).write_text("12345678")
        files[name] = tmp_path / name
    before = look_at(files)
    assert [seen.digest is None for seen in before.values()] == [False, True, True]
    assert changed_files(before, look_at(files, before)) == []
    os.utime(tmp_path / "first", (1, 1))
    os.utime(tmp_path / "second", (1, 1))
    assert changed_files(before, look_at(files, before)) == ["second has another time"]


@pytest.mark.parametrize(
    ("key", "before", "now"),
    [
        ("optimizer.lr", 3e-3, 1e-3),
        ("optimizer.weight_decay", 0.01, 0.1),
        ("clip", 1.0, 0.5),
        ("label_smoothing", 0.0, 0.1),
        ("accumulate", 1, 2),
        ("faults.sigmas", 6.0, 3.0),
    ],
)
def test_changed_settings_are_told(
    squares: Path,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
    key: str,
    before: float,
    now: float,
) -> None:
    train(make_run(squares, copied, f"{key}={now}", "steps=2"), resume=True)
    assert f"{key} was {before} and is {now} from here" in capsys.readouterr().err
    found = [event for event in events(copied, "changed") if event["key"] == key]
    assert found == [{"event": "changed", "step": 2, "key": key, "before": before, "now": now}]


def test_more_steps_say_what_the_learning_rate_does(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(squares / "data")
    falling = ["optimizer.decay=linear", "optimizer.lr=0.001", "optimizer.warmup_steps=0"]
    train(make_run(squares, tmp_path, *falling, "steps=4"), progress=False)
    more = make_run(squares, tmp_path, *falling, "steps=8", "continuation=replan")
    train(more, resume=True)
    told = capsys.readouterr().err
    assert "steps was 4 and is 8 from here" in told
    # of 4 steps it decays over the last 2, of 8 over the last 4
    assert "the learning rate was 0.0005 at step 4 and is 0.001 at the next" in told
    rates = {event["step"]: event["lr"] for event in events(tmp_path, "step")}
    assert (rates[4], rates[5]) == (0.0005, 0.001)
