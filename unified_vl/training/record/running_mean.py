"""The loss that is shown: a mean of the last values."""

from __future__ import annotations

from dataclasses import dataclass

SMOOTHING = 0.95  # of the loss that is shown: about the last 20 steps of a task


@dataclass
class RunningMean:
    """A mean in which each value counts `SMOOTHING` times as much as the one after it.

    Divided by the weights of the values that there are, as Adam's moments are (arXiv
    1412.6980, section 3): otherwise the first value would stand for all before it.
    """

    sum: float = 0.0
    weight: float = 0.0

    def add(self, value: float) -> None:
        self.sum = SMOOTHING * self.sum + (1 - SMOOTHING) * value
        self.weight = SMOOTHING * self.weight + (1 - SMOOTHING)

    @property
    def value(self) -> float:
        return self.sum / self.weight
