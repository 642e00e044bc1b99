"""A schedule run without a model, on scores that were recorded or are made up."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.json_text import json_objects
from unified_vl.run_record import ScoreEvent, event_of
from unified_vl.training.schedules.schedule import Schedule
from unified_vl.training.schedules.stop_and_go import Transition

ScoreOf = Callable[[str, int], float]
"""The score of a task after so many of its batches."""


@dataclass(frozen=True)
class Simulation:
    """What a schedule did.

    Attributes:
        rounds: the tasks of each round's batches, in order; empty where all rest.
        transitions: (round, what happened after it).
    """

    rounds: list[tuple[str, ...]]
    transitions: list[tuple[int, Transition]]

    @property
    def updates(self) -> Counter[str]:
        """Batches of each task."""
        return Counter(task for tasks in self.rounds for task in tasks)


def simulate(schedule: Schedule, rounds: int, score_of: ScoreOf, every: int) -> Simulation:
    """Run `rounds` rounds, scoring every task after each `every` of them."""
    done: Counter[str] = Counter()
    given: list[tuple[str, ...]] = []
    transitions = []
    for number in range(rounds):
        tasks = schedule.begin_round(number)
        done.update(tasks)
        given.append(tasks)
        if (number + 1) % every == 0:
            told = (schedule.observe(task, score_of(task, done[task])) for task in schedule.tasks)
            transitions += [(number, transition) for transition in told if transition]
    return Simulation(given, transitions)


def synthetic_scores(half_life: float) -> ScoreOf:
    """Every task closes half of what it lacks to 100 in `half_life` of its batches."""
    return lambda task, batches: 100 * (1 - 0.5 ** (batches / half_life))


def recorded_scores(path: Path) -> ScoreOf:
    """The scores of a run's events.jsonl, by task and number of its batches.

    Between two scorings the earlier one holds, before the first the first.

    Raises:
        UserError: when the file is not JSON lines, or has no score, or one that is
            no finite number.
    """
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, event in json_objects(path):
        if event.get("event") != ScoreEvent.kind:
            continue
        try:
            told = event_of({"step": 0, "metric": "", **event})
            assert isinstance(told, ScoreEvent)
            if "updates" not in event or not math.isfinite(told.score):
                raise ValueError(event)
            found[told.task].append((told.updates, told.score))
        except ValueError as error:
            raise UserError(
                "this score event is incomplete, or its score no finite number",
                file=path,
                line=number,
                expected="task, updates and score",
            ) from error
    if not found:
        raise UserError(
            "holds no score", file=path, expected="the events.jsonl of a run with score_every"
        )
    curves = {task: sorted(points) for task, points in found.items()}

    def score_of(task: str, batches: int) -> float:
        if task not in curves:
            raise UserError(f"holds no score of the task {task!r}", file=path)
        at = bisect_right(curves[task], batches, key=lambda point: point[0])
        return curves[task][max(at - 1, 0)][1]

    return score_of
