"""Which updates are refused: those of gradients that are no number, or far too large.

The norm is that of the global gradient, the loss that of the global batch: both are the
same on all ranks, so all ranks decide the same without another word.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from unified_vl.errors import TrainingFault
from unified_vl.specs.runs.course import FaultSpec

ANOTHER_LEVEL = 8  # spikes of a task in a row


class GradientGuard:
    """Accepts or refuses each step by the norms of the last steps of its task.

    A norm is a spike when it is further above the mean of the last `window` norms of
    the same task than `sigmas` standard deviations. Tasks are apart, because their norms
    differ by nature; a task has no spikes before its window is full. Of a refused spike the
    largest norm that would have passed enters the window, so that a lasting change of level
    is followed after some steps, and a single spike does not hide the next. Eight in a row are no
    spike but another level (the mixture has changed under a task that was all but done): the
    window of the task begins anew.

    Args:
        spec: policy, window, sigmas and limit.
    """

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.norms: dict[str, deque[float]] = {}
        self.in_a_row: dict[str, int] = {}  # finite norms refused one after the other
        self.refused: list[int] = []  # steps, of the last `window`
        self.reason: str | None = None

    def accept(self, step: int, task: str, loss: float, norm: float) -> bool:
        """Whether the update of `step` (counted from 1) may be made; `reason` says why not.

        Args:
            loss: of the global batch.
            norm: of the global gradient, before clipping.
        """
        norms = self.norms.setdefault(task, deque(maxlen=self.spec.window))
        highest = _highest(norms, self.spec.sigmas) if len(norms) == self.spec.window else math.inf
        self.reason = None
        if not math.isfinite(loss):
            self.reason = f"the loss is {loss}"
        elif not math.isfinite(norm):
            self.reason = "the gradient is not finite"
        elif norm > highest and self.in_a_row.get(task, 0) + 1 == ANOTHER_LEVEL:
            norms.clear()
            highest = math.inf
        elif norm > highest:
            self.reason = (
                f"the gradient's norm {norm:.4g} is more than {self.spec.sigmas:g} standard "
                f"deviations above the last {self.spec.window} of its task (at most {highest:.4g})"
            )
        if math.isfinite(norm):
            self.in_a_row[task] = self.in_a_row.get(task, 0) + 1 if norm > highest else 0
            norms.append(min(norm, highest))
        self.refused = [r for r in self.refused if r > step - self.spec.window]
        if self.reason is not None:
            self.refused.append(step)
        return self.reason is None

    def enforce(self, step: int, task: str) -> None:
        """End the training where the policy or the limit of refused updates says so.

        Raises:
            TrainingFault: after a refused step, with policy `abort` or beyond the limit.
        """
        if self.reason is None:
            return
        place = f"step {step}, task {task!r}: {self.reason}"
        if self.spec.policy == "abort":
            raise TrainingFault(f"{place}; faults.policy is abort; the weights are untouched")
        if len(self.refused) > self.spec.limit:
            raise TrainingFault(
                f"{place}; {len(self.refused)} of the last {self.spec.window} updates were "
                f"refused, more than faults.limit ({self.spec.limit}); the weights are untouched"
            )

    def state_dict(self) -> dict[str, Any]:
        """JSON values that give the same decisions after a resume."""
        return {
            "norms": {t: list(n) for t, n in self.norms.items()},
            "in_a_row": dict(self.in_a_row),
            "refused": self.refused,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        window = self.spec.window
        self.norms = {task: deque(norms, window) for task, norms in state["norms"].items()}
        self.in_a_row = dict(state["in_a_row"])
        self.refused = list(state["refused"])


def _highest(norms: deque[float], sigmas: float) -> float:
    """The largest norm that is no spike."""
    mean = statistics.fmean(norms)
    return mean + sigmas * statistics.pstdev(norms, mean)
