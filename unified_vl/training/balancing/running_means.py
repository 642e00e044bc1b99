"""Tasks brought to a common level by running means of what each has: of losses, or of norms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.specs.balance import BalanceSpec, RunningMeanKeys
from unified_vl.training.balancing.balance import Balance, BalanceKind

LEAST = 1e-8  # a mean that is as good as zero


class RunningMeans(Balance):
    """A task's factor is what brings its running mean to the geometric mean of all tasks'.

    So the factors leave the size of an update as it is on the whole, and the learning rate keeps
    its meaning. A task that has made no update yet has factor 1 and counts for nothing. Means are
    divided by the weights of the values that there are, as Adam's moments are.

    Args:
        decay: how much of a mean each value leaves.
        limit: the largest factor; its inverse is the smallest.
    """

    def __init__(self, decay: float, limit: float) -> None:
        self._decay = decay
        self._limit = limit
        self._means: dict[str, tuple[float, float]] = {}  # sum and weight

    def factor(self, task: str) -> float:
        if task not in self._means:
            return 1.0
        logs = {name: math.log(max(s / w, LEAST)) for name, (s, w) in self._means.items()}
        factor = math.exp(math.fsum(logs.values()) / len(logs) - logs[task])
        return min(max(factor, 1 / self._limit), self._limit)

    def add(self, task: str, value: float) -> None:
        """Let a value of a task count in its mean."""
        total, weight = self._means.get(task, (0.0, 0.0))
        keep = self._decay
        self._means[task] = (keep * total + (1 - keep) * value, keep * weight + (1 - keep))

    def state_dict(self) -> dict[str, Any]:
        return {"means": {task: list(mean) for task, mean in self._means.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._means = {task: (mean[0], mean[1]) for task, mean in state["means"].items()}


class RunningLoss(RunningMeans):
    """Goes by losses: each task's is divided by its running mean, up to a common factor."""

    def observe(self, losses: Mapping[str, float], norm: float) -> None:
        for task, loss in losses.items():
            self.add(task, loss)


class GradientNorm(RunningMeans):
    """Goes by norms: those of the tasks' own updates come to one level.

    As GradNorm (arXiv 1711.02257) with equal rates of learning, but of all weights, and without
    a backward pass more: an update of one task alone tells its norm.
    """

    def observe(self, losses: Mapping[str, float], norm: float) -> None:
        (task,) = losses
        self.add(task, norm / self.factor(task))


def _running_loss(spec: BalanceSpec, tasks: Sequence[str]) -> Balance:
    return RunningLoss(spec.decay, spec.limit)


def _gradient_norm(spec: BalanceSpec, tasks: Sequence[str]) -> Balance:
    return GradientNorm(spec.decay, spec.limit)


RUNNING_LOSS = BalanceKind("running_loss", RunningMeanKeys, _running_loss)
GRADIENT_NORM = BalanceKind("gradient_norm", RunningMeanKeys, _gradient_norm, update="per_task")
