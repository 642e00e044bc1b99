"""Weights of losses by learned uncertainty (Kendall, Gal and Cipolla, arXiv 1705.07115)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.specs.balance import BalanceSpec, UncertaintyKeys
from unified_vl.training.balancing.balance import Balance, BalanceKind


class Uncertainty(Balance):
    """A task's factor is exp(-s), where s is learned to make exp(-s) loss + s / 2 least.

    s is the logarithm of the variance of the task (equation 10 of the paper), 0 at first. Its
    gradient is 1/2 - exp(-s) loss, a number that all ranks know: it needs no optimiser, and
    ZeRO nothing of it. Where it has come to rest the factor is 1 / (2 loss).

    Args:
        learning_rate: of s, by plain gradient descent.
    """

    def __init__(self, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._log_variances: dict[str, float] = {}

    def factor(self, task: str) -> float:
        return math.exp(-self._log_variances.get(task, 0.0))

    def observe(self, losses: Mapping[str, float], norm: float) -> None:
        for task, loss in losses.items():
            slope = 0.5 - self.factor(task) * loss
            at = self._log_variances.get(task, 0.0)
            self._log_variances[task] = at - self._learning_rate * slope

    def state_dict(self) -> dict[str, Any]:
        return {"log_variances": dict(self._log_variances)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._log_variances = dict(state["log_variances"])


def _make(spec: BalanceSpec, tasks: Sequence[str]) -> Balance:
    return Uncertainty(spec.learning_rate)


UNCERTAINTY = BalanceKind("uncertainty", UncertaintyKeys, _make)
