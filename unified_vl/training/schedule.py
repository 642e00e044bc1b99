"""Which task each step trains: a pure function of counts and a seed, without torch.

Round robin as in 12-in-1 (arXiv 1912.02315, section 3.3): a round gives every task
its batches, and every batch is an optimiser step of its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal


class RoundRobin:
    """Every round holds each task exactly its number of batches, spread evenly.

    Batch j of a task with n batches a round stands at (j + 1/2) / n of the round; the
    tasks are merged by that place. With `order="fixed"` ties go to the task named
    first and every round is the same; with `order="seeded"` each round shifts every
    task's places by a draw of its own, so that no task always follows the same other.

    Args:
        tasks: distinct names.
        batches: batches a round of each task, at least 1.
        order: `fixed` or `seeded`.
        seed: of the seeded order.

    Raises:
        ValueError: when there is no task, a name twice, or a number below 1.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        order: Literal["fixed", "seeded"] = "fixed",
        seed: int = 0,
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"a schedule needs distinct tasks, not {list(tasks)}")
        if any(batches[task] < 1 for task in tasks):
            raise ValueError(f"every task needs at least one batch a round, not {dict(batches)}")
        self.tasks = tuple(tasks)
        self.batches = {task: batches[task] for task in tasks}
        self.order = order
        self.seed = seed
        self.round_length = sum(self.batches.values())
        self._steps = 0
        self._round: tuple[str, ...] = ()

    def next_task(self) -> str:
        """The task of the next step."""
        number, place = divmod(self._steps, self.round_length)
        if place == 0 or not self._round:
            self._round = self.round(number)
        self._steps += 1
        return self._round[place]

    def round(self, number: int) -> tuple[str, ...]:
        """The tasks of round `number`, in order."""
        shift = dict.fromkeys(self.tasks, 0.5)
        if self.order == "seeded":
            draw = random.Random(f"{self.seed}/{number}")
            shift = {task: draw.random() for task in self.tasks}
        places = [
            ((batch + shift[task]) / self.batches[task], index, task)
            for index, task in enumerate(self.tasks)
            for batch in range(self.batches[task])
        ]
        return tuple(task for _, _, task in sorted(places))

    def state_dict(self) -> dict[str, Any]:
        """The number of steps given out: all that a resume needs."""
        return {"steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps = int(state["steps"])
        self._round = ()
