"""Which checkpoint is the best so far: by the scores of the tasks, or else by their losses."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class _Memory:
    """What is remembered; of values more is better.

    Attributes:
        now: the newest value; None where that is no number.
        measured: after which step it was taken.
        best: the value of the best checkpoint.
        step: its step.
        scored: after which step its value was taken: the checkpoint may be of a later one.
    """

    now: float | None = None
    measured: int | None = None
    best: float | None = None
    step: int | None = None
    scored: int | None = None


def mean_of_losses(losses: Mapping[str, float]) -> float | None:
    """Of all tasks, which count alike; negative, so that more is better. None without any."""
    return statistics.fmean(-loss for loss in losses.values()) if losses else None


def mean_of_scores(scores: Mapping[str, float], lower: frozenset[str]) -> float | None:
    """Of all tasks, which count alike; of those in `lower` less is better. None without any."""
    signed = [-s if task in lower else s for task, s in scores.items()]
    return statistics.fmean(signed) if signed else None


class Best:
    """Remembers the best checkpoint; the first of equals.

    Args:
        by_scores: go by the tasks' scores, not by their validation losses.
        lower_is_better: tasks whose score is better when it is lower.
    """

    def __init__(self, *, by_scores: bool, lower_is_better: frozenset[str] = frozenset()) -> None:
        self.by_scores = by_scores
        self.lower_is_better = lower_is_better
        self._memory = _Memory()

    @property
    def step(self) -> int | None:
        """The step of the best checkpoint; None before there is one."""
        return self._memory.step

    @property
    def scored(self) -> int | None:
        """The step whose model had the value that made the checkpoint the best."""
        return self._memory.scored

    def losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Take note of the validation losses after `step`: all tasks count alike."""
        if not self.by_scores:
            self._measure(step, mean_of_losses(losses))

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Take note of the tasks' primary metrics after `step`: all tasks count alike."""
        if self.by_scores:
            self._measure(step, mean_of_scores(scores, self.lower_is_better))

    def _measure(self, step: int, value: float | None) -> None:
        if value is None:
            return
        self._memory.now = value if math.isfinite(value) else None
        self._memory.measured = step

    def checkpoint(self, step: int) -> bool:
        """Whether the checkpoint of `step` is the best so far; it then is remembered so."""
        memory = self._memory
        if memory.now is None or (memory.best is not None and memory.now <= memory.best):
            return False
        memory.best, memory.step, memory.scored = memory.now, step, memory.measured
        return True

    def facts(self) -> dict[str, Any]:
        """What made the best checkpoint the best, for the record."""
        memory = self._memory
        by, value = "scores", memory.best
        if not self.by_scores and value is not None:
            by, value = "validation losses", -value
        return {"by": by, "mean": value, "scored_step": memory.scored}

    def forget(self) -> None:
        """The best checkpoint is lost: the next that has a value is the best."""
        self._memory.best = self._memory.step = self._memory.scored = None

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return asdict(self._memory)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._memory = _Memory(**state)
        if self._memory.best is not None and not math.isfinite(self._memory.best):
            self.forget()  # written when what is no number could be the best
