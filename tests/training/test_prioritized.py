"""The schedule that goes by what a task lacks, or has just learnt."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from unified_vl.errors import TrainingFault, UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.schedule import ScheduleSpec
from unified_vl.training.schedules.prioritized import Prioritized
from unified_vl.training.schedules.registry import SCHEDULES
from unified_vl.training.schedules.schedule import Rules, Turns
from unified_vl.training.trainer import train

TASKS = ("a", "b", "c")


def schedule(from_round: dict[str, int] | None = None, **keys: object) -> Prioritized:
    """Of three tasks, of which `c` has two batches a round."""
    spec = ScheduleSpec(kind="prioritized", **keys)
    batches, rules = {"a": 1, "b": 1, "c": 2}, Rules(seed=1, from_round=from_round or {})
    made = SCHEDULES["prioritized"].make(Turns(spec, TASKS, batches, dict(batches), rules))
    assert isinstance(made, Prioritized) and made.goes_by_scores
    made.begin_round(0)
    return made


def shares(of: Prioritized, rounds: int = 3000) -> dict[str, float]:
    drawn = Counter(task for number in range(rounds) for task in of.round(number))
    return {task: drawn[task] / drawn.total() for task in TASKS}


def test_tasks_that_are_behind_have_more_turns() -> None:
    made = schedule(least_share=0.05)
    assert shares(made) == pytest.approx({"a": 1 / 4, "b": 1 / 4, "c": 1 / 2}, abs=0.02)
    for task, score in (("a", 20.0), ("b", 80.0), ("c", 130.0)):  # CIDEr goes beyond 100
        made.observe(task, score)
    chances = {"a": 0.8, "b": 0.2, "c": 2 * 0.05}
    expected = {task: chance / 1.1 for task, chance in chances.items()}
    assert {task: made.chance(task) for task in TASKS} == pytest.approx(chances)
    assert shares(made) == pytest.approx(expected, abs=0.02)
    sharper = schedule(focus=2.0)
    sharper.observe("a", 50.0)
    assert sharper.chance("a") == pytest.approx(0.25)


def test_tasks_that_learn_or_forget_have_more_turns() -> None:
    made = schedule(priority="progress")
    told = {"a": [10, 50, 60], "b": [70, 30, 50], "c": [5, 5, 5]}
    for place in range(3):
        for task, scores in told.items():
            made.observe(task, float(scores[place]))
        if place == 0:
            assert made.need("a") == 1  # one score tells nothing of progress
    assert made.need("a") == pytest.approx(10 / 50)
    assert made.need("b") == pytest.approx(20 / 40)
    assert made.chance("c") == pytest.approx(2 * 0.1)  # the least share


def test_its_state_is_json_and_goes_on_alike() -> None:
    made = schedule(priority="progress")
    for task, score in (("a", 10.0), ("a", 30.0), ("b", 40.0)):
        made.observe(task, score)
    again = schedule(priority="progress")
    again.load_state_dict(json.loads(json.dumps(made.state_dict())))
    assert [made.next_update() for _ in range(40)] == [again.next_update() for _ in range(40)]
    assert made.state_dict() == again.state_dict()


def test_scores_count_once_a_task_has_joined_and_must_be_numbers() -> None:
    made = schedule(from_round={"b": 2})
    made.observe("b", 90.0)
    assert made.need("b") == 1 and set(made.round(1)) <= {"a", "c"}
    with pytest.raises(TrainingFault, match="of task 'a' is nan, no finite number; a prioritized"):
        made.observe("a", math.nan)


def test_a_run_goes_by_its_scores_and_is_resumed_as_it_was(squares: Path, tmp_path: Path) -> None:
    text = (squares / "resting.yaml").read_text(encoding="utf-8")
    kept = text[: text.index("schedule:")]
    for name in ("see.yaml", "look.yaml"):
        (tmp_path / name).write_text((squares / name).read_text(encoding="utf-8"), "utf-8")
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(f"{kept}schedule: {{kind: prioritized}}\n", encoding="utf-8")
    keys = [f"mixture={mixture}", "score_every=2", "score_rows=4", "validation_rows=4", "steps=6"]
    with pytest.raises(UserError, match="a schedule of kind 'prioritized' goes by scores, which"):
        load_run(squares / "run.yaml", [*keys, "score_every=0"])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(load_run(squares / "run.yaml", [*keys, f"output={whole}"]), progress=False)
    half = [*keys, f"output={parts}", "optimizer.decay=constant", "steps=4"]
    train(load_run(squares / "run.yaml", half), progress=False)
    state = json.loads((parts / "checkpoints/step-00000004/progress.json").read_text())
    assert set(state["schedule"]["scores"]) == {"see", "look"}
    train(load_run(squares / "run.yaml", [*half, "steps=6"]), resume=True, progress=False)

    def turns(output: Path) -> list[str]:
        lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [e["task"] for e in map(json.loads, lines) if e["event"] == "step"]

    assert turns(whole) == turns(parts)
    mixture.write_text(kept + "schedule: {kind: sampled, focus: 2}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"schedule\.focus: .* expected `focus` for prioritized"):
        load_run(squares / "run.yaml", keys)


def test_a_task_without_validation_rows_is_refused(squares: Path, tmp_path: Path) -> None:
    mixture = tmp_path / "mixture.yaml"
    text = (squares / "mixture.yaml").read_text(encoding="utf-8")
    for name in ("see.yaml", "say.yaml"):
        text = text.replace(f"spec: {name}", f"spec: {squares / name}")
    mixture.write_text(text + "schedule: {kind: prioritized}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"schedule\.kind: the task 'say' has no validation split"):
        load_run(squares / "run.yaml", [f"mixture={mixture}", "score_every=2"])
