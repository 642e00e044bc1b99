"""Which checkpoint is the best so far: by the scores of the tasks, or else by their losses."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class _Memory:
    """What is remembered; of values more is better.

    Attributes:
        now: the newest value.
        best: the value of the best checkpoint.
        step: its step.
    """

    now: float | None = None
    best: float | None = None
    step: int | None = None


class Best:
    """Remembers the best checkpoint; the first of equals.

    Args:
        by_scores: go by the tasks' scores, not by their validation losses.
        falling: tasks whose score is better when it is lower.
    """

    def __init__(self, *, by_scores: bool, falling: frozenset[str] = frozenset()) -> None:
        self.by_scores = by_scores
        self.falling = falling
        self._memory = _Memory()

    @property
    def step(self) -> int | None:
        """The step of the best checkpoint; None before there is one."""
        return self._memory.step

    def losses(self, losses: Mapping[str, float]) -> None:
        """Take note of the validation losses: all tasks count alike."""
        if losses and not self.by_scores:
            self._memory.now = -statistics.fmean(losses.values())

    def scores(self, scores: Mapping[str, float]) -> None:
        """Take note of the tasks' primary metrics: all tasks count alike."""
        if scores and self.by_scores:
            self._memory.now = statistics.fmean(
                -score if task in self.falling else score for task, score in scores.items()
            )

    def checkpoint(self, step: int) -> bool:
        """Whether the checkpoint of `step` is the best so far; it then is remembered so."""
        memory = self._memory
        if memory.now is None or (memory.best is not None and memory.now <= memory.best):
            return False
        memory.best, memory.step = memory.now, step
        return True

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return asdict(self._memory)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._memory = _Memory(**state)
