"""How many steps a number of epochs is: a pure function of rows, batch size and schedule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.run import Run
from unified_vl.training.course.uncounted import refuse_uncounted
from unified_vl.training.schedules.registry import make_schedule
from unified_vl.training.schedules.schedule import Schedule

MOST = 20_000_000  # batches that are dealt out to count steps: about a minute


@dataclass(frozen=True)
class Length:
    """How long a run trains.

    Attributes:
        steps: optimiser steps.
        epochs: how often each task draws its rows in them.
    """

    steps: int
    epochs: Mapping[str, float]

    def told(self, run: Run) -> str:
        """In a line."""
        each = ", ".join(f"{task} {times:.2f}" for task, times in self.epochs.items())
        return f"epochs: {run.epochs:g} are {self.steps:,} steps of {run.rows}: {each}"


def length_of(run: Run) -> Length:
    """How long a run with `epochs` trains; opens the data of its tasks.

    Raises:
        UserError: for data that cannot be read, or more batches than can be counted.
    """
    refuse_uncounted(run)
    specs = run.loaded_mixture.specs
    return counted(run, {spec.task: len(TaskData(spec, "train", run.data)) for spec in specs})


def with_steps(run: Run, rows: Mapping[str, int]) -> tuple[Run, Length | None]:
    """The run with its number of steps, and of epochs what they come to."""
    if run.epochs is None:
        return run, None
    length = counted(run, rows)
    return run.model_copy(update={"steps": length.steps}), length


def counted(run: Run, rows: Mapping[str, int]) -> Length:
    """The fewest steps after which every task has drawn its rows `epochs` times.

    So the task with the most rows, as its turns go, decides, and smaller ones begin anew (what
    `datasets` calls `all_exhausted`, and Lightning `max_size_cycle`). A batch that reaches beyond
    an epoch counts whole. Turns are those of the schedule while no task rests by stop-and-go.

    Args:
        run: epochs, batch size, seed and mixture.
        rows: of each task's training split.

    Raises:
        UserError: at `epochs`, for more batches than can be counted.
    """
    assert run.epochs is not None, "a run without steps has epochs"
    left = {task: math.ceil(run.epochs * n / run.rows - 1e-9) for task, n in rows.items()}
    if sum(left.values()) > MOST:
        raise _too_many(run)
    steps, drawn = _deal(run, make_schedule(run.loaded_mixture, rows, run.seed), left)
    times = {task: drawn[task] * run.rows / n for task, n in rows.items()}
    return Length(steps, times)


def _deal(run: Run, schedule: Schedule, left: dict[str, int]) -> tuple[int, Counter[str]]:
    """Batches in the schedule's order until each task has had its own; steps, and all batches."""
    drawn: Counter[str] = Counter()
    steps = number = 0
    while left:
        dealt = schedule.begin_round(number)
        number += 1
        for place, task in enumerate(dealt, 1):
            drawn[task] += 1
            steps += not schedule.rules.joint or place == len(dealt)
            if drawn[task] == left.get(task):
                del left[task]
                if not left and not schedule.rules.joint:
                    return steps, drawn
        if number > MOST or steps > MOST:
            raise _too_many(run)
    return steps, drawn


def _too_many(run: Run) -> Exception:
    return run.error(
        ("epochs",), f"takes more than {MOST:,} batches, too many to count", expected="steps"
    )
