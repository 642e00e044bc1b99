"""The record as others show it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.record.journal import Journal
from unified_vl.training.schedules.stop_and_go import Transition
from unified_vl.training.update import TaskLoss


def make(squares: Path, output: Path, tracker: str) -> Run:
    paths = [f"output={output}", f"trackers=[{tracker}]", "log_every=1"]
    return load_run(squares / "run.yaml", paths)


def write(journal: Journal, steps: range) -> None:
    with journal:
        for step in steps:
            journal.update(step, [TaskLoss("see", 4.0 / step, 10)], 0.5, 1.0)
        journal.validation(steps[-1], {"see": 2.5})
        journal.score(steps[-1], "see", "exact_match", 75.0)
        journal.transition(steps[-1], Transition("see", "STOP", "no gain"))


def test_tensorboard_shows_every_tasks_numbers_once(squares: Path, tmp_path: Path) -> None:
    run = make(squares, tmp_path, "tensorboard")
    first = Journal(run, {"see": 20}, writes=True, progress=False)
    write(first, range(1, 4))
    second = Journal(run, {"see": 20}, writes=True, progress=False)
    second.restart(first.state_dict(), 2)  # step 3 is done again
    write(second, range(3, 5))
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    losses = [(event.step, event.value) for event in shown.Scalars("loss/see")]
    assert losses == [(step, pytest.approx(4.0 / step)) for step in (1, 2, 3, 4)]
    assert [event.value for event in shown.Scalars("score/see")][-1] == 75
    assert [event.value for event in shown.Scalars("state/see")][-1] == 0
    assert [event.value for event in shown.Scalars("validation_loss/see")][-1] == 2.5


def test_other_ranks_show_nothing(squares: Path, tmp_path: Path) -> None:
    run = make(squares, tmp_path, "tensorboard")
    write(Journal(run, {"see": 20}, writes=False, progress=False), range(1, 3))
    assert list(tmp_path.iterdir()) == []


def test_wandb_gets_the_same_numbers(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is too large to test with: what it is called with is."""
    told: list[Any] = []
    started = SimpleNamespace(
        log=lambda numbers, step: told.append((step, numbers)), finish=lambda: told.append("end")
    )

    def init(**facts: Any) -> SimpleNamespace:
        told.append(facts)
        return started

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    run = make(squares, tmp_path, "wandb")
    write(Journal(run, {"see": 20}, writes=True, progress=False), range(1, 2))
    assert told[0]["name"] == "squares" and told[0]["config"]["batch_size"] == 4
    assert told[1][0] == 1 and told[1][1]["loss/see"] == 4.0
    assert told[-2:] == [(1, {"state/see": 0.0}), "end"]


def test_a_tracker_that_is_not_installed(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    journal = Journal(make(squares, tmp_path, "wandb"), {"see": 20}, writes=True, progress=False)
    with pytest.raises(UserError, match=r"unified_vl\[wandb\]"):
        journal.__enter__()
    assert list(tmp_path.iterdir()) == []
