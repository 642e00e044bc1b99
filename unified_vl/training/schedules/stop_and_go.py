"""When a task rests and when it trains again: dynamic stop-and-go of 12-in-1.

After Algorithm 1 of arXiv 1912.02315, section 3.3, with what its published code leaves
out: both checks on every evaluation, metrics of which lower is better as well as others, and
scores at or below zero. Plain numbers, no torch: a pure function of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from unified_vl.errors import TrainingFault
from unified_vl.specs.schedule import StopAndGoSpec

State = Literal["GO", "STOP"]


@dataclass(frozen=True, slots=True)
class Transition:
    """A task begins to rest, or to train again."""

    task: str
    state: State
    reason: str


class StopAndGo:
    """The state of one task; it starts in GO.

    A score improves when it is better than the last improvement by more than `min_gain` of
    it, so that many small gains add up to one. STOP after `patience` evaluations without
    improvement, unless the score has at the same time got worse; GO again once it is worse than
    the best by more than `max_drop`. Relative to zero, every difference counts.

    Args:
        task: its name, for the record.
        rule: the four numbers.
        higher_is_better: the direction of the task's metric.
    """

    def __init__(self, task: str, rule: StopAndGoSpec, higher_is_better: bool = True) -> None:
        self.task = task
        self.rule = rule
        self.sign = 1.0 if higher_is_better else -1.0
        self._mind = _Mind()

    @property
    def state(self) -> State:
        return self._mind.state

    def trains(self, number: int) -> bool:
        """Whether it takes part in round `number`: resting tasks do in every `gap`-th."""
        mind = self._mind
        return mind.state == "GO" or (number - mind.since) % self.rule.gap == 0

    def observe(self, score: float, number: int) -> Transition | None:
        """Take note of a score, seen during round `number`; says what follows from it.

        Raises:
            TrainingFault: for a score that is not a finite number: it says neither go nor stop.
        """
        if not math.isfinite(score):
            raise TrainingFault(
                f"the validation score of task {self.task!r} is {score}, no finite number; "
                "stop_and_go cannot go by it: is its metric defined for these rows and answers?"
            )
        mind, rule, value = self._mind, self.rule, self.sign * score
        best = value if mind.best is None else max(mind.best, value)
        worse = value < best - rule.max_drop * abs(best)
        if mind.reached is None or value > mind.reached + rule.min_gain * abs(mind.reached):
            mind.reached, mind.stale = value, 0
        else:
            mind.stale += 1
        mind.best = best
        if mind.state == "GO" and mind.stale >= rule.patience and not worse:
            return self._turn("STOP", number, f"{mind.stale} scores without a gain, now {score:g}")
        if mind.state == "STOP" and worse:
            mind.stale = 0
            return self._turn("GO", number, f"{score:g} after a best of {self.sign * best:g}")
        return None

    def _turn(self, state: State, number: int, reason: str) -> Transition:
        self._mind.state, self._mind.since = state, number
        return Transition(self.task, state, reason)

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return asdict(self._mind)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._mind = _Mind(**state)


@dataclass
class _Mind:
    """What is remembered: values are scores of which more is better.

    Attributes:
        since: the round in which the state was entered.
        best: the best value so far.
        reached: the value of the last improvement.
        stale: evaluations since then.
    """

    state: State = "GO"
    since: int = 0
    best: float | None = None
    reached: float | None = None
    stale: int = 0
