"""Epochs in place of steps: until every task has drawn all of its rows so often."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.cli.main import main
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.course import epochs
from unified_vl.training.course.epochs import counted, length_of
from unified_vl.training.trainer import train

TWO = """
mixture: two
version: 1
tasks:
  - {{spec: {0}/see.yaml{1}}}
  - {{spec: {0}/say.yaml{2}}}
"""


@pytest.mark.parametrize(
    ("see", "say", "schedule", "rows", "times", "steps"),
    [
        ("", "", "", {"see": 8, "say": 4}, 1, 3),  # see, say, see: the larger one's 2 batches
        ("", "", "", {"see": 4, "say": 8}, 1, 4),
        ("", "", "", {"see": 9, "say": 4}, 1, 5),  # its third batch reaches into the next epoch
        ("", "", "", {"see": 9, "say": 4}, 2, 9),  # ceil(18 / 4) = 5 batches of it
        ("", "", "", {"see": 8, "say": 4}, 0.5, 2),
        ("", "", "{update: joint}", {"see": 8, "say": 4}, 1, 2),
        (", batches: 2", "", "", {"see": 16, "say": 4}, 1, 6),  # see say see, twice
        ("", ", from_round: 3", "", {"see": 4, "say": 8}, 1, 7),
    ],
)
def test_the_task_that_needs_most_turns_decides(
    squares: Path,
    tmp_path: Path,
    see: str,
    say: str,
    schedule: str,
    rows: dict[str, int],
    times: float,
    steps: int,
) -> None:
    mixture = tmp_path / "two.yaml"
    text = TWO.format(squares, see, say) + (f"schedule: {schedule}\n" if schedule else "")
    mixture.write_text(text)
    more = ["steps=null", f"epochs={times}", f"mixture={mixture}", "score_every=1"]
    length = counted(load_run(squares / "run.yaml", more), rows)
    assert length.steps == steps
    assert all(length.epochs[task] >= times - 1e-9 for task in rows)


def test_tasks_that_may_rest_are_counted_as_if_none_did(squares: Path) -> None:
    more = ["steps=null", "epochs=1", f"mixture={squares / 'resting.yaml'}", "score_every=1"]
    assert counted(load_run(squares / "run.yaml", more), {"see": 8, "look": 4}).steps == 3


def test_drawn_turns_are_counted_as_they_will_come(squares: Path, tmp_path: Path) -> None:
    mixture = tmp_path / "two.yaml"
    mixture.write_text(TWO.format(squares, "", "") + "schedule: {kind: sampled, by: rows}\n")
    more = ["steps=null", "epochs=3", f"mixture={mixture}", f"output={tmp_path / 'out'}"]
    run = load_run(squares / "run.yaml", more)
    length = length_of(run)
    train(run, progress=False)
    events = map(json.loads, (tmp_path / "out" / "events.jsonl").read_text().splitlines())
    seen = {event["task"]: event for event in events if event["event"] == "step"}
    assert {task: event["epochs"] for task, event in seen.items()} == pytest.approx(
        length.epochs, abs=1e-4
    )
    assert max(event["step"] for event in seen.values()) == length.steps
    assert min(length.epochs.values()) >= 3


def test_train_and_check_say_how_many_steps_they_are(
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (squares / "run.yaml").read_text().replace("steps: 6", "epochs: 1")
    text = text.replace("mixture: ", f"mixture: {squares}/")
    run_file = tmp_path / "run.yaml"
    run_file.write_text(text.replace(f"output: {squares}/output", "output: out"))
    # 13 rows in batches of 4, two batches of them a round, one of the 10 of the other
    said = "epochs: 1 are 8 steps of 4: see 1.54, say 1.20"
    model = train(load_run(run_file))
    assert said in capsys.readouterr().err
    assert json.loads((model / "training.json").read_text())["steps"] == 8
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["unified-vl", "check", str(run_file), *more])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        told = capsys.readouterr().out
        assert (f'"steps": {{"{run_file}": 8}}' if more else f"{run_file}: {said}") in told


def test_a_resume_with_more_epochs_goes_on(squares: Path, tmp_path: Path) -> None:
    more = ["steps=null", f"output={tmp_path}", "optimizer.decay=constant"]
    train(load_run(squares / "run.yaml", ["epochs=0.5", *more]), progress=False)
    model = train(load_run(squares / "run.yaml", ["epochs=1", *more]), resume=True, progress=False)
    assert json.loads((model / "training.json").read_text())["steps"] == 8
    changed = [
        (event["key"], event["before"], event["now"])
        for event in map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
        if event["event"] == "changed"
    ]
    assert changed[:2] == [("steps", 5, 8), ("epochs", 0.5, 1.0)]
    with pytest.raises(UserError, match="epochs: the checkpoint has 8 steps already"):
        train(load_run(squares / "run.yaml", ["epochs=0.5", *more]), resume=True, progress=False)


def test_what_cannot_be_counted_is_refused(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(squares / "run.yaml", ["steps=null", "epochs=9"])
    monkeypatch.setattr(epochs, "MOST", 10)
    with pytest.raises(UserError, match=r"epochs: takes more than 10 batches.* expected steps"):
        length_of(run)
