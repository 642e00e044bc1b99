"""Every task has its turns in each round (12-in-1, arXiv 1912.02315, section 3.3)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from unified_vl.specs.schedule import RoundRobinKeys
from unified_vl.training.schedules.schedule import Rules, Schedule, ScheduleKind, Turns


class RoundRobin(Schedule):
    """Every round holds each of its tasks exactly its number of batches, spread evenly.

    Batch j of a task with n batches a round stands at (j + 1/2) / n of the round; the
    tasks are merged by that place. With `order="fixed"` ties go to the task named
    first and rounds of the same tasks are the same; with `order="seeded"` each round
    shifts every task's places by a draw of its own, so that no task always follows the
    same other.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        order: Literal["fixed", "seeded"] = "fixed",
        rules: Rules | None = None,
    ) -> None:
        super().__init__(tasks, batches, rules)
        self.order = order

    def fill(self, number: int, tasks: Sequence[str]) -> tuple[str, ...]:
        shift = dict.fromkeys(tasks, 0.5)
        if self.order == "seeded":
            draw = random.Random(f"{self.rules.seed}/{number}")
            shift = {task: draw.random() for task in tasks}
        places = [
            ((batch + shift[task]) / self.batches[task], index, task)
            for index, task in enumerate(tasks)
            for batch in range(self.batches[task])
        ]
        return tuple(task for _, _, task in sorted(places))


def _make(turns: Turns) -> Schedule:
    return RoundRobin(turns.tasks, turns.batches, turns.spec.order, turns.rules)


ROUND_ROBIN = ScheduleKind("round_robin", RoundRobinKeys, _make)
