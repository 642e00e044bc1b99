"""Scores as functions of sums over rows.

A metric says of each row what it needs to know of it (its sufficient statistics), and how
the sums of these over any rows become a score. Rows are then read once, and parts of a
split, resamples of it and exchanges between two models cost a product of matrices.

N rows, K statistics of a row, R choices of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Finish = Callable[[Floats], Floats]
"""Sums over rows, (R, K), to scores, (R,)."""


@dataclass(frozen=True, slots=True)
class RowStatistics:
    """What a metric knows of each row.

    Attributes:
        values_NK: the statistics of each row.
        finish: turns their sums into scores.
        groups_N: rows of one group are scored together; the result is the mean over the
            groups, weighted by their numbers of rows. Rows of group -1 do not count.
        alike: whether each group counts the same instead, however many rows it has.
    """

    values_NK: Floats
    finish: Finish
    groups_N: npt.NDArray[np.int64]
    alike: bool = False

    def score(self, rows: Sequence[int] | None = None) -> float:
        """The score of some rows, or of all.

        Raises:
            ValueError: when there is no row that counts: no rows have no score.
        """
        count = len(self.values_NK)
        groups = self.groups_N if rows is None else self.groups_N[np.asarray(rows, np.int64)]
        if not (groups >= 0).any():
            raise ValueError("there is nothing to score")
        weights_N = np.ones(count) if rows is None else np.bincount(rows, minlength=count)
        return float(self.scores(weights_N[None].astype(np.float64))[0])

    def scores(self, weights_RN: Floats) -> Floats:
        """The score of each of R choices of rows.

        Args:
            weights_RN: how often each choice has each row; at least one row in each choice.
        """
        total_R, weight_R = np.zeros(len(weights_RN)), np.zeros(len(weights_RN))
        for group in np.unique(self.groups_N[self.groups_N >= 0]):
            members = np.flatnonzero(self.groups_N == group)
            chosen_RN = weights_RN[:, members]
            counts_R = chosen_RN.sum(axis=1)
            there = counts_R > 0
            sums_RK = chosen_RN[there] @ self.values_NK[members]
            share_R = there.astype(np.float64) if self.alike else counts_R
            total_R[there] += share_R[there] * self.finish(sums_RK)
            weight_R += share_R
        return total_R / np.maximum(weight_R, 1)


def per_row(values: Sequence[float]) -> Floats:
    """The statistics of a metric that is a mean over rows: (value, 1) each, (N, 2)."""
    return np.stack([np.asarray(values, np.float64), np.ones(len(values))], axis=1)


def mean_of_rows(sums_RK: Floats) -> Floats:
    """The mean over the rows of `per_row`, times 100."""
    return 100.0 * sums_RK[:, 0] / sums_RK[:, 1]
