"""Which task each step trains: a pure function of counts and a seed, without torch.

Round robin as in 12-in-1 (arXiv 1912.02315, section 3.3): a round gives every task
its batches, and every batch is an optimiser step of its own. Or each step draws its
task, as T5 does (arXiv 1910.10683, section 3.5.2). A task may join at a later round
than the first, when others have learnt what it builds on.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from unified_vl.specs.mixture import Mixture


class Schedule(ABC):
    """Rounds of steps; how a round is filled is the subclass's.

    Args:
        tasks: distinct names.
        batches: batches a round of each task, at least 1; a round has the sum of those of
            its tasks as steps.
        seed: of whatever is drawn.
        from_round: the first round, from 0, of tasks that join later.

    Raises:
        ValueError: when there is no task, a name twice, a number below 1, or no task in
            the first round.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        seed: int = 0,
        from_round: Mapping[str, int] | None = None,
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"a schedule needs distinct tasks, not {list(tasks)}")
        if any(batches[task] < 1 for task in tasks):
            raise ValueError(f"every task needs at least one batch a round, not {dict(batches)}")
        self.tasks = tuple(tasks)
        self.batches = {task: batches[task] for task in tasks}
        self.seed = seed
        self.from_round = {task: (from_round or {}).get(task, 0) for task in tasks}
        if min(self.from_round.values()) != 0:
            raise ValueError(f"no task takes part in round 0: {self.from_round}")
        self._joins = sorted(set(self.from_round.values()))
        self._steps = 0
        self._number = -1
        self._round: tuple[str, ...] = ()

    @abstractmethod
    def round(self, number: int) -> tuple[str, ...]:
        """The tasks of round `number`, in order: as many as its tasks' batches together."""

    def next_task(self) -> str:
        """The task of the next step."""
        number, place = self._locate(self._steps)
        if number != self._number:
            self._number, self._round = number, self.round(number)
        self._steps += 1
        return self._round[place]

    def active(self, number: int) -> list[str]:
        """The tasks that take part in round `number`."""
        return [task for task in self.tasks if self.from_round[task] <= number]

    def _locate(self, step: int) -> tuple[int, int]:
        """The round of a step, and its place in it."""
        for first, after in zip(self._joins, [*self._joins[1:], None], strict=True):
            length = sum(self.batches[task] for task in self.active(first))
            if after is None or step < length * (after - first):
                number, place = divmod(step, length)
                return first + number, place
            step -= length * (after - first)
        raise AssertionError("the last stretch of rounds has no end")

    def state_dict(self) -> dict[str, Any]:
        """The number of steps given out: all that a resume needs."""
        return {"steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps = int(state["steps"])


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
        seed: int = 0,
        from_round: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(tasks, batches, seed, from_round)
        self.order = order

    def round(self, number: int) -> tuple[str, ...]:
        tasks = self.active(number)
        shift = dict.fromkeys(tasks, 0.5)
        if self.order == "seeded":
            draw = random.Random(f"{self.seed}/{number}")
            shift = {task: draw.random() for task in tasks}
        places = [
            ((batch + shift[task]) / self.batches[task], index, task)
            for index, task in enumerate(tasks)
            for batch in range(self.batches[task])
        ]
        return tuple(task for _, _, task in sorted(places))


class Sampled(Schedule):
    """Every step draws its task, independently of the others.

    Args:
        weights: above 0; a task is drawn with its share of those of the round's tasks.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        weights: Mapping[str, float],
        seed: int = 0,
        from_round: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(tasks, batches, seed, from_round)
        if any(not weights[task] > 0 for task in tasks):
            raise ValueError(f"every task needs a weight above 0, not {dict(weights)}")
        self.weights = {task: weights[task] for task in tasks}

    def round(self, number: int) -> tuple[str, ...]:
        tasks = self.active(number)
        steps = sum(self.batches[task] for task in tasks)
        draw = random.Random(f"{self.seed}/{number}")
        return tuple(draw.choices(tasks, [self.weights[task] for task in tasks], k=steps))


def size_weights(
    rows: Mapping[str, int], temperature: float = 1.0, limit: int | None = None
) -> dict[str, float]:
    """min(rows, limit) ** (1 / temperature), T5's mixing (arXiv 1910.10683, section 3.5.2).

    Temperature 1 is in proportion to size, a higher one nearer to equal shares.
    """
    sizes = {task: count if limit is None else min(count, limit) for task, count in rows.items()}
    return {task: float(size) ** (1 / temperature) for task, size in sizes.items()}


def make_schedule(mixture: Mixture, rows: Mapping[str, int], seed: int) -> Schedule:
    """The schedule that a mixture asks for.

    Args:
        mixture: of `load_mixture`.
        rows: of each task's training split; read only where shares go by rows.
        seed: of what is drawn.
    """
    names = tuple(spec.task for spec in mixture.specs)
    batches = dict(zip(names, (entry.batches for entry in mixture.tasks), strict=True))
    joins = dict(zip(names, (entry.from_round for entry in mixture.tasks), strict=True))
    spec = mixture.schedule
    if spec.kind == "round_robin":
        return RoundRobin(names, batches, spec.order, seed, joins)
    sizes = rows if spec.by == "rows" else batches
    weights = size_weights(sizes, spec.temperature, spec.limit)
    return Sampled(names, batches, weights, seed, joins)
