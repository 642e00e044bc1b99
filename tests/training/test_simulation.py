"""Schedules without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.schedule import StopAndGoSpec
from unified_vl.training.schedules.round_robin import RoundRobin
from unified_vl.training.schedules.schedule import Rules
from unified_vl.training.simulation import recorded_scores, simulate, synthetic_scores

RULES = Rules(stop_and_go=StopAndGoSpec(patience=2, min_gain=0.01, gap=4))


def make(rules: Rules = RULES) -> RoundRobin:
    return RoundRobin(("quick", "slow"), {"quick": 4, "slow": 1}, rules=rules)


def test_who_learns_sooner_rests_sooner() -> None:
    found = simulate(make(), 200, synthetic_scores(10), every=5)
    assert [told.task for _, told in found.transitions] == ["quick", "slow"]
    (stopped, told), _ = found.transitions
    assert told.state == "STOP"
    resting = [tasks.count("quick") for tasks in found.rounds[stopped + 1 :]]
    assert resting[:8] == [0, 0, 0, 4, 0, 0, 0, 4]
    assert found.updates["quick"] == sum(tasks.count("quick") for tasks in found.rounds)


def test_without_scores_to_go_by_nobody_rests() -> None:
    found = simulate(make(Rules()), 50, synthetic_scores(10), every=5)
    assert found.transitions == [] and found.updates == {"quick": 200, "slow": 50}


def test_a_simulation_gives_what_a_training_would() -> None:
    """The same rounds as updates given out one by one, scored at the same places."""
    schedule, score_of = make(), synthetic_scores(10)
    simulated = simulate(make(), 60, score_of, every=5)
    done = {"quick": 0, "slow": 0}
    for number, tasks in enumerate(simulated.rounds):
        for task in tasks:
            assert schedule.next_update() == (task,)
            done[task] += 1
        if (number + 1) % 5 == 0 and tasks:
            for task in schedule.tasks:
                schedule.observe(task, score_of(task, done[task]))


def test_recorded_scores_go_by_the_tasks_own_batches(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = [
        {"event": "step", "step": 1, "task": "quick", "loss": 1.0},
        {"event": "score", "step": 9, "task": "quick", "updates": 20, "score": 50.0},
        {"event": "score", "step": 5, "task": "quick", "updates": 10, "score": 40.0},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    score_of = recorded_scores(path)
    assert [score_of("quick", n) for n in (0, 9, 10, 19, 20, 99)] == [40, 40, 40, 40, 50, 50]
    with pytest.raises(UserError, match="no score of the task 'slow'"):
        score_of("slow", 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("{", "events.jsonl:1: is not JSON"),
        ('{"event": "step"}', "holds no score"),
        ('{"event": "score", "task": "a"}', ":1: this score event is incomplete"),
        *(
            (f'{{"event": "score", "task": "a", "updates": 1, "score": {score}}}', "no finite")
            for score in ("NaN", "-Infinity", "1e999", "null", '"inf"')
        ),
    ],
)
def test_a_bad_record_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "events.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        recorded_scores(path)
    assert told in str(error.value) and str(path) in str(error.value)
