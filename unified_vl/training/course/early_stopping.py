"""When a training ends before its last step (Prechelt 1998, "Early Stopping - But When?")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unified_vl.errors import number_of
from unified_vl.specs.runs.course import EarlyStoppingSpec


@dataclass
class _Memory:
    """What is remembered; of values more is better.

    Attributes:
        best: the value of the last gain.
        step: after which step that was.
        now: the last value; None where that was no number.
        stale: measurements since the last gain.
    """

    best: float | None = None
    step: int | None = None
    now: float | None = None
    stale: int = 0


class EarlyStopping:
    """Ends a training after `patience` measurements in a row without a gain.

    A gain is a value that is better than that of the last gain by more than `min_delta`, so many
    small ones add up to one. What is no number is none. A pure function of values that are
    the same on all ranks: all ranks end alike.

    Args:
        spec: the keys of the run; None to go on to the last step.
        by_scores: what is measured unless the keys say so: scores, or validation losses.
    """

    def __init__(self, spec: EarlyStoppingSpec | None, *, by_scores: bool) -> None:
        self.spec = spec
        metric = None if spec is None else spec.metric
        self.by_scores = by_scores if metric is None else metric == "score"
        self._memory = _Memory()

    def observe(self, step: int, value: float | None, *, of_scores: bool) -> None:
        """Take note of a measurement after `step`, if it is of what is measured.

        Args:
            value: the mean of the tasks, more is better; None where there are none.
            of_scores: whether it is of scores, or else of losses.
        """
        if self.spec is None or value is None or of_scores != self.by_scores:
            return
        memory = self._memory
        memory.now = value if math.isfinite(value) else None
        if memory.now is not None and (
            memory.best is None or memory.now > memory.best + self.spec.min_delta
        ):
            memory.best, memory.step, memory.stale = memory.now, step, 0
        else:
            memory.stale += 1

    @property
    def ended(self) -> bool:
        """Whether the training is over."""
        return self.spec is not None and self._memory.stale >= self.spec.patience

    def facts(self) -> dict[str, Any]:
        """What ended it, for the record."""
        memory, sign = self._memory, 1 if self.by_scores else -1
        return {
            "by": "scores" if self.by_scores else "validation losses",
            "mean": None if memory.now is None else sign * memory.now,
            "best": None if memory.best is None else sign * memory.best,
            "best_step": memory.step,
            "measurements": memory.stale,
        }

    def reason(self) -> str:
        """The same in words."""
        facts, memory = self.facts(), self._memory
        best = "none was a number"
        if facts["best"] is not None:
            best = f"the best is {facts['best']:.4g} of step {facts['best_step']}"
        now = "no number" if facts["mean"] is None else f"{facts['mean']:.4g}"
        return (
            f"{number_of(memory.stale, 'measurement')} of the {facts['by']} without a gain: "
            f"the mean is {now}, {best}"
        )

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return {"by_scores": self.by_scores, "memory": asdict(self._memory)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on; what was measured of another metric is no measure of this one."""
        same = state["by_scores"] == self.by_scores
        self._memory = _Memory(**state["memory"]) if same else _Memory()
