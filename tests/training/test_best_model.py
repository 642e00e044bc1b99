"""The best model survives a kill and a full disk at whatever point of its writing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl import files
from unified_vl.errors import DiskFull
from unified_vl.inference.saved_models import model_directory
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.run_record import TIMED
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.record.models import ModelWriter
from unified_vl.training.trainer import train

SETTINGS = ("validate_every=2", "checkpoint_every=2", "keep_checkpoints=1")
# a rate that spoils the weights after the first checkpoint: the last is not the best
SPOILT = (
    "optimizer.decay=constant",
    "optimizer.warmup_steps=0",
    "optimizer.lr=3.0",
    "faults.limit=99",
    "validate_every=1",
    "checkpoint_every=1",
)


class Killed(BaseException):
    """What no handler of a process would get to see."""


def die(*_: object, **__: object) -> Any:
    raise Killed


def fill(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def between_the_renames(partial: Path, directory: Path) -> None:
    if directory.exists():
        directory.rename(directory.with_name(f"{directory.name}.old"))
    raise Killed


def before_the_old_one_goes(partial: Path, directory: Path) -> None:
    between = directory.with_name(f"{directory.name}.old")
    if directory.exists():
        directory.rename(between)
    partial.rename(directory)
    raise Killed


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before it begins": (ModelWriter, "write_best", die),
    "when its folder is made": (model_directory, "write_parts", die),
    "before its tokenizer": (model_directory.SequenceCodec, "save", die),
    "before its facts": (model_directory, "write_atomically", die),
    "before its renames": (files, "replace_directory", die),
    "between its renames": (files, "replace_directory", between_the_renames),
    "before the old one goes": (files, "replace_directory", before_the_old_one_goes),
}


def make_run(squares: Path, output: Path, *more: str) -> Run:
    return load_run(squares / "run.yaml", [f"output={output}", *SETTINGS, *more])


def fail_at(
    monkeypatch: pytest.MonkeyPatch, point: tuple[Any, str, Callable[..., Any]], which: int
) -> None:
    """The fault happens while the best model is written for the time `which`."""
    place, name, fault = point
    patched, begun = [], 0
    write_best = ModelWriter.write_best

    def writing(self: ModelWriter, *arguments: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == which and not patched:
            patched.append(True)
            if place is ModelWriter:
                fault()
            monkeypatch.setattr(place, name, fault)
        write_best(self, *arguments)

    monkeypatch.setattr(ModelWriter, "write_best", writing)


def outcome(output: Path) -> dict[str, Any]:
    """Every file that a run leaves, but times and that it was resumed."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in output.rglob("*") if p.is_file()):
        name = path.relative_to(output).as_posix()
        if path.name == "events.jsonl":
            events = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [
                {k: v for k, v in event.items() if k not in TIMED}
                for event in events
                if event["event"] != "resume"
            ]
        elif path.name in ("training.json", "progress.json"):
            values = json.loads(path.read_text())
            values.get("journal", values).pop("seconds")
            found[name] = values
        elif path.name == "manifest.json":
            found[name] = sorted(json.loads(path.read_text())["files"])
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def unbroken(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("best") / "unbroken"
    train(make_run(squares, output), progress=False)
    best = [
        event
        for event in map(json.loads, (output / "events.jsonl").read_text().splitlines())
        if event["event"] == "best"
    ]
    assert [(event["step"], event["scored_step"]) for event in best] == [(2, 2), (4, 4), (6, 6)]
    return output


@pytest.mark.parametrize(
    ("point", "which"),
    [*((point, 2) for point in POINTS), ("between its renames", 1), ("before its facts", 3)],
)
def test_a_kill_while_it_is_written_leaves_no_trace(
    squares: Path,
    tmp_path: Path,
    unbroken: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    which: int,
) -> None:
    run = make_run(squares, tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        fail_at(patch, POINTS[point], which)
        train(run, progress=False)
    train(run, resume=True, progress=False)
    assert outcome(run.output) == outcome(unbroken)
    assert sorted(path.name for path in run.output.iterdir()) == [
        "best_model",
        "checkpoints",
        "events.jsonl",
        "model",
    ]


@pytest.mark.parametrize("point", ["when its folder is made", "before its facts"])
def test_a_full_disk_there_ends_with_its_own_code(
    squares: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    run = make_run(squares, tmp_path / "out")
    place, name, _ = POINTS[point]
    with monkeypatch.context() as patch, pytest.raises(DiskFull, match="best_model: no room"):
        fail_at(patch, (place, name, fill), 2)
        train(run, progress=False)
    assert load_model(run.output / "best_model").facts["steps"] == 2  # the one before is there
    assert not (run.output / "best_model.partial").exists()
    train(run, resume=True, progress=False)
    assert outcome(run.output) == outcome(unbroken)


def test_the_weights_tell_a_full_disk_in_their_own_way(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors raises its own error, not an OSError."""
    run = make_run(squares, tmp_path / "out")

    def fill_as_rust(*_: object, **__: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch, pytest.raises(DiskFull, match="model: no room"):
        patch.setattr(UnifiedVLForConditionalGeneration, "save_pretrained", fill_as_rust)
        train(run, progress=False)


@pytest.mark.parametrize("loss", [{}, {"cut": True}, {"of": 2}])
def test_a_finished_run_gives_back_what_was_lost(
    squares: Path, tmp_path: Path, loss: dict[str, Any]
) -> None:
    """Deleted, cut, or that of another step: from the best checkpoint, not from the last."""
    run = make_run(squares, tmp_path / "out", *SPOILT)
    train(run, progress=False)
    expected = outcome(run.output)
    model = run.output / "best_model"
    facts = json.loads((model / "training.json").read_text())
    assert facts["steps"] < 6
    if loss.get("cut"):
        with (model / "model.safetensors").open("r+b") as file:
            file.truncate(1000)
    elif "of" in loss:
        (model / "training.json").write_text(json.dumps(facts | {"steps": 1}))
    else:
        shutil.rmtree(model)
    train(run, resume=True, progress=False)
    assert outcome(run.output) == expected


def test_without_its_checkpoint_it_is_said(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(squares, tmp_path / "out", *SPOILT)
    train(run, progress=False)
    shutil.rmtree(run.output / "best_model")
    best, _ = sorted((run.output / "checkpoints").glob("step-*"))
    shutil.rmtree(best)
    train(run, resume=True)
    told = capsys.readouterr().err
    assert "best_model is missing, and the checkpoint of step" in told
    assert "is gone: the next best one takes its place" in told


def test_a_loss_that_is_no_number_replaces_no_model(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(squares, tmp_path / "out")
    outputs = Engine.outputs

    def spoilt(self: Engine, *arguments: Any, **more: Any) -> Any:
        found = outputs(self, *arguments, **more)
        if not self.model.training and (run.output / "best_model").exists():
            found.target_loss = found.target_loss * float("nan")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "outputs", spoilt)
        train(run, progress=False)
    assert load_model(run.output / "best_model").facts["steps"] == 2
    kept = sorted(path.name for path in (run.output / "checkpoints").glob("step-*"))
    assert kept == ["step-00000002", "step-00000006"]
