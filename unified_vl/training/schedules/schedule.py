"""Which task each step trains: a pure function of counts, a seed and scores, without torch.

A round has batches of tasks, and every batch is an optimiser step of its own, or the round is one.
How a round is filled is a subclass's, in a file of its own. A task may join at a later round than
the first, when others have learnt what it builds on, and may rest when its validation score
no longer gets better (`stop_and_go.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unified_vl.parts import Part, Problem
from unified_vl.specs.schedule import ScheduleSpec, StopAndGoSpec
from unified_vl.training.schedules.stop_and_go import StopAndGo, Transition


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

    @property
    def goes_by_scores(self) -> bool:
        """Whether a score may change whose turn it is: batches are prepared up to the next one."""
        return bool(self.controllers)

    @property
    def is_complete(self) -> bool:
        """Whether all tasks have joined by the round that is under way."""
        return max(self.from_round.values()) <= self._number

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


@dataclass(frozen=True)
class Turns:
    """What a schedule is made of.

    Attributes:
        spec: the `schedule` keys of the mixture.
        tasks: their names, in the order of the mixture.
        batches: batches a round of each task.
        rows: of each task's training split.
        rules: what all schedules share.
    """

    spec: ScheduleSpec
    tasks: tuple[str, ...]
    batches: Mapping[str, int]
    rows: Mapping[str, int]
    rules: Rules


def _none(spec: ScheduleSpec) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True)
class ScheduleKind:
    """A schedule that `schedule: {kind: NAME}` names.

    Attributes:
        name: what specs call it.
        keys: its own keys under `schedule`, each with a default.
        make: the schedule. It must be a pure function of what it is given, of counts and of the
            scores it observed: all ranks have one each, and a resume goes on with another. What it
            remembers beyond its base class is in its `state_dict`.
        rules: what is wrong with keys whose types are right.
        goes_by_scores: whether it needs a run with `score_every`, and validation rows.
    """

    name: str
    keys: type[Part]
    make: Callable[[Turns], Schedule]
    rules: Callable[[ScheduleSpec], Iterable[Problem]] = _none
    goes_by_scores: bool = False
