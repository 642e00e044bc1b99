"""Tasks that are behind, or that learn the most, have more turns.

Behind: dynamic task prioritization (Guo et al., ECCV 2018), which goes by the score itself.
Progress: automated curriculum learning (Graves et al., arXiv 1704.03003), which goes by its last
change.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from unified_vl.errors import TrainingFault
from unified_vl.specs.schedule import PrioritizedKeys, ScheduleSpec
from unified_vl.training.schedules.schedule import Rules, Schedule, ScheduleKind, Turns
from unified_vl.training.schedules.stop_and_go import Transition

PERFECT = 100.0


@dataclass
class _Scores:
    """Of one task: the last and the one before it, and the lowest and highest so far."""

    last: float
    before: float
    low: float
    high: float


class Prioritized(Schedule):
    """Every batch of a round draws its task, with chances that the last scores decide.

    A task's chance is in proportion to its `batches`, times its need to the power of `focus`, but
    at least `least_share` times its batches. The need is 1 where a task has not been scored (or,
    for progress, not twice). By `behind` it is what the score lacks to 100, as a share of 100; by
    `progress` how far the last score lies from the one before, as a share of the range of all
    its scores: a task that forgets has turns, too.

    Raises:
        ValueError: as its base class.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        batches: Mapping[str, int],
        spec: ScheduleSpec,
        rules: Rules | None = None,
    ) -> None:
        super().__init__(tasks, batches, rules)
        self._spec = spec
        self._scores: dict[str, _Scores] = {}

    @property
    def goes_by_scores(self) -> bool:
        return True

    def need(self, task: str) -> float:
        """How much a task lacks, or has just learnt: from 0 to 1."""
        scores = self._scores.get(task)
        if scores is None:
            return 1.0
        if self._spec.priority == "behind":
            return min(max(1 - scores.last / PERFECT, 0.0), 1.0)
        if math.isnan(scores.before):
            return 1.0
        spread = scores.high - scores.low
        return abs(scores.last - scores.before) / spread if spread else 0.0

    def chance(self, task: str) -> float:
        """In which proportion to those of the others a task is drawn."""
        need = max(self.need(task) ** self._spec.focus, self._spec.least_share)
        return self.batches[task] * need

    def fill(self, number: int, tasks: Sequence[str]) -> tuple[str, ...]:
        if not tasks:
            return ()
        count = sum(self.batches[task] for task in tasks)
        draw = random.Random(f"{self.rules.seed}/{number}")
        return tuple(draw.choices(tasks, [self.chance(task) for task in tasks], k=count))

    def observe(self, task: str, score: float) -> Transition | None:
        if not math.isfinite(score):
            raise TrainingFault(
                f"the validation score of task {task!r} is {score}, no finite number; a "
                "prioritized schedule cannot go by it: is its metric defined for these rows?"
            )
        if self.from_round[task] <= self._number:
            old = self._scores.get(task)
            if old is None:
                self._scores[task] = _Scores(score, math.nan, score, score)
            else:
                low, high = min(old.low, score), max(old.high, score)
                self._scores[task] = _Scores(score, old.last, low, high)
        return super().observe(task, score)

    def state_dict(self) -> dict[str, Any]:
        scores = {task: asdict(of) for task, of in self._scores.items()}
        for of in scores.values():
            of["before"] = None if math.isnan(of["before"]) else of["before"]
        return super().state_dict() | {"scores": scores}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._scores = {
            task: _Scores(**{**of, "before": math.nan if of["before"] is None else of["before"]})
            for task, of in state["scores"].items()
        }


def _make(turns: Turns) -> Schedule:
    return Prioritized(turns.tasks, turns.batches, turns.spec, turns.rules)


PRIORITIZED = ScheduleKind("prioritized", PrioritizedKeys, _make, goes_by_scores=True)
