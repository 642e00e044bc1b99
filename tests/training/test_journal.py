"""Events: every task is heard of, whatever the rhythm, and a resume leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_vl.specs.load import load_run
from unified_vl.training.journal import Journal
from unified_vl.training.update import TaskLoss


def make(squares: Path, output: Path, *overrides: str, writes: bool = True) -> Journal:
    run = load_run(squares / "run.yaml", [f"output={output}", "log_every=2", *overrides])
    return Journal(run, {"see": 8, "say": 10}, writes=writes, progress=False)


def events(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]


def test_losses_are_means_over_the_steps_since_the_last_line(squares: Path, tmp_path: Path) -> None:
    losses = [("see", 4.0), ("see", 2.0), ("say", 5.0), ("see", 1.0)]
    with make(squares, tmp_path) as journal:
        for step, (task, loss) in enumerate(losses):
            journal.update(step + 1, [TaskLoss(task, loss, 10)], 0.1 * step, 1.5)
    found = [(e["step"], e["task"], e["loss"], e["target_tokens"]) for e in events(tmp_path)]
    assert found == [(2, "see", 3.0, 20), (4, "say", 5.0, 10), (4, "see", 1.0, 10)]
    last = events(tmp_path)[-1]
    assert last["smoothed_loss"] == pytest.approx(0.95 * (0.95 * 4 + 0.05 * 2) + 0.05 * 1)
    assert last["lr"] == pytest.approx(0.3) and last["grad_norm"] == 1.5
    assert last["seconds"] >= 0


def test_a_resumed_journal_drops_what_comes_again(squares: Path, tmp_path: Path) -> None:
    with make(squares, tmp_path) as first:
        first.update(1, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
        state = json.loads(json.dumps(first.state_dict()))
        first.update(2, [TaskLoss("see", 2.0, 10)], 0.1, 1.0)
        first.validation(2, {"see": 9.0})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "st')
    expected = events_before_resume(tmp_path)
    second = make(squares, tmp_path)
    second.restart(state, 1)
    with second:
        second.update(2, [TaskLoss("see", 2.0, 10)], 0.1, 1.0)
        second.validation(2, {"see": 9.0})
    found = events(tmp_path)
    assert found[0] == {"event": "resume", "step": 1}
    for event in found:
        event.pop("seconds", None)
    assert found[1:] == expected
    assert second.seconds >= state["seconds"]


def events_before_resume(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text().splitlines()[:-1]
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_other_ranks_write_nothing(squares: Path, tmp_path: Path) -> None:
    with make(squares, tmp_path / "out", writes=False) as journal:
        journal.update(2, [TaskLoss("see", 1.0, 5)], 0.1, 1.0)
        journal.validation(2, {"see": 1.0})
    assert not (tmp_path / "out").exists()


def test_lines_for_people_where_there_is_no_terminal(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", "log_every=2"])
    with Journal(run, {"see": 8, "say": 10}, writes=True) as journal:
        journal.update(1, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
        journal.update(2, [TaskLoss("say", 3.0, 10)], 0.1, 1.0)
        journal.skipped("see", {"see.jsonl:5": "see.jsonl:5: image: there is no image 'x.png'"})
    out, err = capsys.readouterr()
    assert out == ""
    assert "step 2/6" in err and "steps/s" in err and "see 4.000, say 3.000" in err
    assert "1 bad rows skipped, the first: see.jsonl:5" in err


def test_a_bar_on_a_terminal(
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", "log_every=2"])
    with Journal(run, {"see": 8, "say": 10}, writes=True) as journal:
        for step in range(1, 4):
            journal.update(step, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/6" in err and "steps/s" in err and "loss see 4.000" in err
