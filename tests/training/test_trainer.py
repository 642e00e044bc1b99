"""A whole training, interrupted and gone on with, must be the one that was not."""

from __future__ import annotations

import json
import os
import resource
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.checkpoint_folders import newest
from unified_vl.data.batching import Batch
from unified_vl.data.streams import TaskStream
from unified_vl.errors import BadRow, DiskFull, TrainingFault, UserError
from unified_vl.files import write_atomically
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.locks import only_writer
from unified_vl.run_record import TIMED
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.trainer import train

CONFIGS = Path(__file__).parents[2] / "deepspeed_configs"
WEIGHTS = Path("model", "model.safetensors")


class Killed(Exception):
    """What ends a run in the middle."""


def make_run(squares: Path, output: Path, *overrides: str) -> Run:
    return load_run(squares / "run.yaml", [f"output={output}", *overrides])


def events(output: Path) -> list[dict[str, Any]]:
    """What a run wrote down, without the time that it took."""
    found = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
    for event in found:
        for timed in TIMED:
            event.pop(timed, None)
    return [event for event in found if event["event"] != "resume"]


def train_until_killed(run: Run, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, but die in the update of `step` (counted from 1)."""
    done = 0
    update = Engine.step

    def dying(self: Engine, *arguments: Any) -> float:
        nonlocal done
        done += 1
        if done == step:
            raise Killed
        return update(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "step", dying)
        with pytest.raises(Killed):
            train(run, progress=False)


ENGINES = {path.stem: json.loads(path.read_text()) for path in sorted(CONFIGS.glob("*.json"))}
for stage in (2, 3):  # moments and masters in the memory of the CPU
    zero = {"stage": stage, "offload_optimizer": {"device": "cpu"}}
    ENGINES[f"zero{stage}_offload"] = {"zero_optimization": zero}


@pytest.mark.parametrize(
    ("engine", "keys"), [*((name, ()) for name in ENGINES), ("zero1_bf16", ("packing=true",))]
)
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(
    engine: str,
    keys: tuple[str, ...],
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "engine.json"
    file.write_text(json.dumps(ENGINES[engine]))
    keys = (f"engine={file}", *keys)
    whole = make_run(squares, tmp_path / "whole", *keys)
    train(whole, progress=False)
    broken = make_run(squares, tmp_path / "broken", *keys)
    train_until_killed(broken, 6, monkeypatch)
    assert newest(broken.output / "checkpoints") == "step-00000004"
    train(broken, resume=True, progress=False)
    assert (broken.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()
    assert events(broken.output) == events(whole.output)


def test_a_resting_schedule_is_resumed_as_it_was(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores, states and whose turn it is; the last checkpoint lies between two scorings."""
    resting = ["steps=9", "score_every=2", f"mixture={squares / 'resting.yaml'}"]
    whole = make_run(squares, tmp_path / "whole", *resting, "checkpoint_every=3")
    train(whole, progress=False)
    found = events(whole.output)
    assert [e["state"] for e in found if e["event"] == "stop_and_go"][:2] == ["STOP", "STOP"]
    broken = make_run(squares, tmp_path / "broken", *resting, "checkpoint_every=3")
    train_until_killed(broken, 8, monkeypatch)
    train(broken, resume=True, progress=False)
    assert events(broken.output) == found
    assert (broken.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()
    assert load_model(broken.output / "model").model.config.task_tags == "family"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_run(squares, tmp_path / "whole")
    train(whole, progress=False)
    broken = make_run(squares, tmp_path / "broken")
    train_until_killed(broken, 6, monkeypatch)
    checkpoints = broken.output / "checkpoints"
    state = next((checkpoints / "step-00000004" / "state").iterdir())
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    assert newest(checkpoints) == "step-00000002"
    train(broken, resume=True, progress=False)
    assert (broken.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()
    assert events(broken.output) == events(whole.output)


def test_a_disk_that_is_full_costs_no_more_than_the_steps_since(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files fails the real writes, as a full disk does."""
    whole = make_run(squares, tmp_path / "whole")
    train(whole, progress=False)
    full = make_run(squares, tmp_path / "full")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    save = Engine.save

    def save_on_a_full_disk(self: Engine, directory: Path) -> None:
        if directory.name == "step-00000004":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        save(self, directory)

    with monkeypatch.context() as patch, pytest.raises(DiskFull, match=r"--resume"):
        patch.setattr(Engine, "save", save_on_a_full_disk)
        try:
            train(full, progress=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    checkpoints = full.output / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == ["pointer.json", "step-00000002"]
    train(full, resume=True, progress=False)
    assert (full.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_the_best_checkpoint_and_its_model_stay(squares: Path, tmp_path: Path) -> None:
    """A rate that spoils the weights after the first checkpoint: the last is not the best."""
    settings = ["optimizer.decay=constant", "optimizer.warmup_steps=0", "keep_checkpoints=1"]
    every = ["validate_every=1", "checkpoint_every=1", "optimizer.lr=3.0", "faults.limit=99"]
    run = make_run(squares, tmp_path / "out", *settings, *every)
    train(run, progress=False)
    losses = [e["loss"] for e in events(run.output) if e["event"] == "validation"]
    best = losses.index(min(losses)) + 1
    assert best < 6
    kept = sorted(p.name for p in (run.output / "checkpoints").iterdir() if p.is_dir())
    assert kept == [f"step-{best:08d}", "step-00000006"]
    assert load_model(run.output / "best_model").facts["steps"] == best
    without = make_run(squares, tmp_path / "without", *settings, *every, "keep_best=false")
    train(without, progress=False)
    kept = sorted(p.name for p in (without.output / "checkpoints").iterdir() if p.is_dir())
    assert kept == ["step-00000006"] and not (without.output / "best_model").exists()


def test_what_a_run_leaves_behind(squares: Path, tmp_path: Path) -> None:
    run = make_run(squares, tmp_path / "out", "log_every=4", "keep_checkpoints=1")
    model_directory = train(run, progress=False)
    assert [p.name for p in (run.output / "checkpoints").iterdir() if p.is_dir()] == [
        "step-00000006"
    ]
    steps = [event for event in events(run.output) if event["event"] == "step"]
    assert [(e["step"], e["task"], e["steps"]) for e in steps] == [
        (4, "see", 3),
        (4, "say", 1),
        (6, "say", 1),
        (6, "see", 1),
    ]
    validations = [event for event in events(run.output) if event["event"] == "validation"]
    assert [(event["step"], event["task"]) for event in validations] == [(3, "see"), (6, "see")]
    (bad_row,) = [event for event in events(run.output) if event["event"] == "bad_row"]
    assert (bad_row["step"], bad_row["task"], bad_row["row"]) == (1, "see", "see_train.jsonl:5")
    assert "missing.png" in bad_row["problem"]
    skipped = [event for event in events(run.output) if event["event"] == "skipped"]
    assert skipped == [{"event": "skipped", "task": "see", "rows": 1}]
    saved = load_model(model_directory)
    assert list(saved.specs) == ["say", "see"] or list(saved.specs) == ["see", "say"]
    assert saved.facts["steps"] == 6


def test_truncated_images_are_read_where_the_spec_says_so_and_listed(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(squares / "data", tmp_path / "data")
    for path in (squares / "data").glob("*.png"):
        with Image.open(path) as image:
            image.save(tmp_path / "whole.jpg")
        (tmp_path / "data" / path.name).write_bytes((tmp_path / "whole.jpg").read_bytes()[:-2])
    spec = (squares / "see.yaml").read_text().replace("skip}", "skip, truncated_images: allow}")
    (tmp_path / "see.yaml").write_text(spec)
    shutil.copy(squares / "say.yaml", tmp_path)
    shutil.copy(squares / "mixture.yaml", tmp_path)
    places = [f"data={tmp_path / 'data'}", f"mixture={tmp_path / 'mixture.yaml'}"]
    whole = make_run(squares, tmp_path / "whole", *places)
    train(whole, progress=False)
    listed = [e["row"] for e in events(whole.output) if e["event"] == "truncated_image"]
    assert len(set(listed)) == len(listed)
    assert {row for row in listed if "train" not in row} == {
        f"see_validation.jsonl:{number}" for number in range(1, 7)
    }
    assert len([row for row in listed if "train" in row]) >= 8  # of 16 that were drawn, of 12
    told = [e for e in events(whole.output) if e["event"] == "truncated"]
    assert told == [{"event": "truncated", "task": "see", "rows": len(listed)}]
    broken = make_run(squares, tmp_path / "broken", *places, "workers=3")
    train_until_killed(broken, 6, monkeypatch)
    train(broken, resume=True, progress=False)
    assert events(broken.output) == events(whole.output)


def test_a_run_goes_through_its_data_in_turn(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    drawn = TaskStream.started

    def noting(self: TaskStream, number: int, *share: int) -> Callable[[], list[Batch]]:
        asked.append((self.spec.task, number))
        return drawn(self, number, *share)

    monkeypatch.setattr(TaskStream, "started", noting)
    train(make_run(squares, tmp_path / "out", "validation_rows=0"), progress=False)
    expected = [("see", 0), ("say", 0), ("see", 1), ("see", 2), ("say", 1), ("see", 3)]
    assert asked[:8] == [("see", 0), ("say", 0), *expected]  # the first two are a rehearsal


def test_a_run_that_cannot_begin_leaves_nothing(squares: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(squares / "data", data)
    lines = (data / "say_train.jsonl").read_text().splitlines()
    lines[0] = '{"text": "", "translation": "rot", "language": "de"}'
    (data / "say_train.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadRow, match=r"say_train.jsonl:1: text"):
        train(make_run(squares, tmp_path / "out", f"data={data}"), progress=False)
    assert not (tmp_path / "out").exists()


def test_an_output_in_use_is_refused(squares: Path, tmp_path: Path) -> None:
    run = make_run(squares, tmp_path / "out")
    run.output.mkdir()
    (run.output / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not empty.*--resume"):
        train(run, progress=False)
    assert [path.name for path in run.output.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("resume", [False, True])
def test_an_output_that_another_run_writes_is_refused(
    squares: Path, tmp_path: Path, resume: bool
) -> None:
    run = make_run(squares, tmp_path / "out")
    with only_writer(run.output), pytest.raises(UserError, match=rf"process {os.getpid()} on"):
        train(run, resume=resume, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_only_the_same_run_can_be_resumed(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_until_killed(make_run(squares, tmp_path / "out"), 3, monkeypatch)
    for override, told in (
        ("seed=4", "seed is not what it was"),
        ("model.d_ff=64", "model is not what it was"),
        ("batch_size=8", "batch_size is not what it was"),
        ("steps=1", "has 2 steps already"),
    ):
        with pytest.raises(UserError, match=told):
            train(make_run(squares, tmp_path / "out", override), resume=True, progress=False)


def test_without_a_checkpoint_a_resume_starts_at_the_beginning(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(squares, tmp_path / "out")
    train_until_killed(run, 1, monkeypatch)
    train(run, resume=True, progress=False)
    assert [e["step"] for e in events(run.output) if e["event"] == "step"] == [1, 2, 3, 4, 5, 6]


def test_too_many_refused_updates_end_the_run(squares: Path, tmp_path: Path) -> None:
    settings = ("optimizer.lr=1e30", "clip=1e30", "faults.limit=2")
    run = make_run(squares, tmp_path / "out", *settings)
    with pytest.raises(TrainingFault, match=r"3 of the last 128 updates were refused"):
        train(run, progress=False)
    refused = [event for event in events(run.output) if event["event"] == "refused"]
    assert len(refused) == 3
    assert all("not finite" in e["reason"] or "the loss is" in e["reason"] for e in refused)


@pytest.mark.parametrize("left", [".lock", "stacks/rank-00000.txt"])
def test_what_a_start_left_that_came_to_nothing_is_no_run(
    squares: Path, tmp_path: Path, left: str
) -> None:
    run = make_run(squares, tmp_path / "out", "steps=1")
    write_atomically(run.output / left, "left")
    assert train(run, progress=False).is_dir()


def test_no_thread_outlives_a_training(squares: Path, tmp_path: Path) -> None:
    """One that still computes when Python ends takes the process with it."""
    before = set(threading.enumerate())
    run = load_run(squares / "run.yaml", [f"output={tmp_path / 'run'}", "steps=2"])
    train(run, progress=False)
    with pytest.raises(UserError, match="not empty"):
        train(run, progress=False)
    assert set(threading.enumerate()) == before
