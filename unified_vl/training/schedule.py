"""Which task each step trains: a pure function of counts, a seed and scores, without torch.

Round robin as in 12-in-1 (arXiv 1912.02315, section 3.3): a round gives every task
its batches, and every batch is an optimiser step of its own, or the round is one. Or each
place of a round draws its task, as T5 does (arXiv 1910.10683, section 3.5.2). A task may
join at a later round than the first, when others have learnt what it builds on, and may
rest when its validation score has stopped to rise (`stop_and_go.py`).
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from unified_vl.specs.mixture import Mixture, StopAndGoSpec
from unified_vl.specs.task import TaskSpec
from unified_vl.training.stop_and_go import StopAndGo, Transition


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What all schedules share.

    Attributes:
        seed: of whatever is drawn.
        from_round: the first round, from 0, of tasks that join later.
        joint: a round is one update, not each of its batches.
        stop_and_go: when tasks rest; None to let them train for ever.
        lower_is_better: tasks whose score is better when it is lower.
    """

    seed: int = 0
    from_round: Mapping[str, int] = field(default_factory=dict)
    joint: bool = False
    stop_and_go: StopAndGoSpec | None = None
    lower_is_better: frozenset[str] = frozenset()


class Schedule(ABC):
    """Rounds of batches; how a round is filled is the subclass's.

    Args:
        tasks: distinct names.
        batches: batches a round of each task, at least 1; a round has the sum of those of
            its tasks.
        rules: what all schedules share.

    Raises:
        ValueError: when there is no task, a name twice, a number below 1, or no task in
            the first round.
    """

    def __init__(
        self, tasks: Sequence[str], batches: Mapping[str, int], rules: Rules | None = None
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"a schedule needs distinct tasks, not {list(tasks)}")
        if any(batches[task] < 1 for task in tasks):
            raise ValueError(f"every task needs at least one batch a round, not {dict(batches)}")
        self.tasks = tuple(tasks)
        self.batches = {task: batches[task] for task in tasks}
        self.rules = rules = rules or Rules()
        self.from_round = {task: rules.from_round.get(task, 0) for task in tasks}
        if min(self.from_round.values()) != 0:
            raise ValueError(f"no task takes part in round 0: {self.from_round}")
        self.controllers: dict[str, StopAndGo] = {}
        if rules.stop_and_go is not None:
            self.controllers = {
                task: StopAndGo(task, rules.stop_and_go, task not in rules.lower_is_better)
                for task in tasks
            }
        self._number = -1  # of the round that is under way
        self._left: tuple[str, ...] = ()  # what of it has not been given out

    @abstractmethod
    def fill(self, number: int, tasks: Sequence[str]) -> tuple[str, ...]:
        """The batches of round `number`, in order: as many as those of `tasks` together."""

    def next_update(self) -> tuple[str, ...]:
        """The tasks of the batches of the next optimiser step: one, or a joint round's."""
        while not self._left:  # all tasks may rest in a round
            self._left = self.begin_round(self._number + 1)
        taken = len(self._left) if self.rules.joint else 1
        update, self._left = self._left[:taken], self._left[taken:]
        return update

    def begin_round(self, number: int) -> tuple[str, ...]:
        """The tasks of the batches of round `number`; scores count for it from now on."""
        self._number = number
        return self.round(number)

    def round(self, number: int) -> tuple[str, ...]:
        """The tasks of round `number`'s batches, in order, as things stand."""
        return self.fill(number, self.active(number))

    def active(self, number: int) -> list[str]:
        """The tasks that take part in round `number`: they have joined and do not rest."""
        return [
            task
            for task in self.tasks
            if self.from_round[task] <= number
            and (task not in self.controllers or self.controllers[task].trains(number))
        ]

    def observe(self, task: str, score: float) -> Transition | None:
        """Take note of a task's validation score; it counts once the task has joined.

        What follows from it, if anything, holds from the next round.

        Raises:
            TrainingFault: for a score that is not a finite number, under stop-and-go.
        """
        if task not in self.controllers or self.from_round[task] > self._number:
            return None
        return self.controllers[task].observe(score, self._number)

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return {
            "number": self._number,
            "left": list(self._left),
            "controllers": {task: c.state_dict() for task, c in self.controllers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._number = int(state["number"])
        self._left = tuple(state["left"])
        for task, controller in self.controllers.items():
            controller.load_state_dict(state["controllers"][task])


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


class Sampled(Schedule):
    """Every batch draws its task, independently of the others.

    Args:
        weights: above 0; a task is drawn with its share of those of the round's tasks.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        weights: Mapping[str, float],
        rules: Rules | None = None,
    ) -> None:
        super().__init__(tasks, batches, rules)
        if any(not weights[task] > 0 for task in tasks):
            raise ValueError(f"every task needs a weight above 0, not {dict(weights)}")
        self.weights = {task: weights[task] for task in tasks}

    def fill(self, number: int, tasks: Sequence[str]) -> tuple[str, ...]:
        if not tasks:
            return ()
        steps = sum(self.batches[task] for task in tasks)
        draw = random.Random(f"{self.rules.seed}/{number}")
        return tuple(draw.choices(tasks, [self.weights[task] for task in tasks], k=steps))


def size_weights(
    rows: Mapping[str, int], temperature: float = 1.0, limit: int | None = None
) -> dict[str, float]:
    """min(rows, limit) ** (1 / temperature), T5's mixing (arXiv 1910.10683, section 3.5.2).

    Temperature 1 is in proportion to size, a higher one nearer to equal shares.
    """
    sizes = {task: count if limit is None else min(count, limit) for task, count in rows.items()}
    return {task: float(size) ** (1 / temperature) for task, size in sizes.items()}


def joining_rounds(mixture: Mixture) -> dict[str, int]:
    """The first round of each task: as it says, or by the levels of difficulty."""
    entries = {spec.task: entry for spec, entry in zip(mixture.specs, mixture.tasks, strict=True)}
    curriculum = mixture.schedule.curriculum
    if curriculum is None:
        return {task: entry.from_round for task, entry in entries.items()}
    difficulty = {task: entry.difficulty or 0.0 for task, entry in entries.items()}
    levels = sorted(set(difficulty.values()), reverse=curriculum.order == "hard_first")
    return {task: levels.index(difficulty[task]) * curriculum.rounds for task in entries}


def lower_is_better(specs: Iterable[TaskSpec]) -> frozenset[str]:
    """Names of the tasks whose primary metric is better when it is lower."""
    return frozenset(s.task for s in specs if not s.primary.definition.higher_is_better)


def make_schedule(
    mixture: Mixture,
    rows: Mapping[str, int],
    seed: int,
) -> Schedule:
    """The schedule that a mixture asks for.

    Args:
        mixture: of `load_mixture`.
        rows: of each task's training split; read only where shares go by rows.
        seed: of what is drawn.
    """
    names = tuple(spec.task for spec in mixture.specs)
    batches = dict(zip(names, (entry.batches for entry in mixture.tasks), strict=True))
    spec = mixture.schedule
    rules = Rules(
        seed=seed,
        from_round=joining_rounds(mixture),
        joint=spec.update == "joint",
        stop_and_go=spec.stop_and_go,
        lower_is_better=lower_is_better(mixture.specs),
    )
    if spec.kind == "round_robin":
        return RoundRobin(names, batches, spec.order, rules)
    sizes = rows if spec.by == "rows" else batches
    weights = size_weights(sizes, spec.temperature, spec.limit)
    return Sampled(names, batches, weights, rules)
