"""One perturbation of a task at one severity: its scores beside the clean ones, on the same rows.

N rows of the task, K statistics of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_vl.data.example import Example
from unified_vl.evaluation.scoring import Measured, dimensions, score_rows
from unified_vl.metrics.intervals import differences, ends
from unified_vl.metrics.statistics import RowStatistics

MOST_VALUES = 64  # of a dimension whose scores have intervals


@dataclass(frozen=True)
class Cell:
    """What became of the scores.

    Attributes:
        clean: the scores of the rows as they are, by label.
        perturbed: those of the perturbed rows.
        counts_N: which rows were changed; others do not count in either.
        skipped: of how many rows the perturbation made bad ones, which do not count.
    """

    clean: Mapping[str, Measured]
    perturbed: Mapping[str, Measured]
    counts_N: npt.NDArray[np.bool_]
    skipped: int = 0

    @property
    def rows(self) -> list[int]:
        """The rows that count."""
        return [int(place) for place in np.flatnonzero(self.counts_N)]

    def pair(self, label: str) -> tuple[RowStatistics, RowStatistics] | None:
        """A score of all rows, clean and perturbed, of which only changed ones count; None of a
        score that is no function of sums over rows."""
        both = self.clean[label], self.perturbed[label]
        if not all(isinstance(each, RowStatistics) for each in both):
            return None
        a, b = (_masked(each, self.counts_N) for each in both)
        return a, b

    def said(self, primary: str, examples: Sequence[Example], resamples: int) -> dict[str, Any]:
        """Its part of the report: `{"count", "clean": {METRIC: value}, "metrics": {METRIC: value},
        "difference": {METRIC: value}, "intervals": {METRIC: [low, high]}, "by": {DIMENSION: {VALUE:
        {"count", "clean", "score", "difference", "interval"}}}}`; a difference is perturbed -
        clean, its interval a paired bootstrap's, and what is broken down is the primary score."""
        rows = self.rows
        before, after = score_rows(self.clean, rows), score_rows(self.perturbed, rows)
        labels = [label for label in before if label in after and np.isfinite(after[label])]
        groups: dict[str, dict[str, list[int]]] = {}
        for row in rows:
            for dimension, value in dimensions(examples[row]).items():
                groups.setdefault(dimension, {}).setdefault(value, []).append(row)
        return {
            "count": len(rows),
            **({"skipped": self.skipped} if self.skipped else {}),
            "clean": {label: before[label] for label in labels},
            "metrics": {label: after[label] for label in labels},
            "difference": {label: round(after[label] - before[label], 4) for label in labels},
            "intervals": {
                label: interval
                for label in labels
                if (interval := self._interval(label, rows, resamples)) is not None
            },
            "by": {
                dimension: {
                    value: found
                    for value, members in sorted(values.items())
                    if (found := self._part(primary, members, draws)) is not None
                }
                for dimension, values in groups.items()
                for draws in [resamples if len(values) <= MOST_VALUES else 0]
            },
        }

    def _part(self, label: str, rows: Sequence[int], resamples: int) -> dict[str, Any] | None:
        a, b = score_rows(self.clean, rows), score_rows(self.perturbed, rows)
        if label not in a or label not in b or not np.isfinite(b[label]):
            return None
        return {
            "count": len(rows),
            "clean": a[label],
            "score": b[label],
            "difference": round(b[label] - a[label], 4),
            "interval": self._interval(label, rows, resamples),
        }

    def _interval(self, label: str, rows: Sequence[int], resamples: int) -> list[float] | None:
        pair = self.pair(label)
        if pair is None or not resamples:
            return None
        a, b = (replace(e, values_NK=e.values_NK[rows], groups_N=e.groups_N[rows]) for e in pair)
        drawn_R = differences([(a, b)], resamples)
        return list(ends(drawn_R)) if np.isfinite(drawn_R).any() else None


def _masked(each: Measured, counts_N: npt.NDArray[np.bool_]) -> RowStatistics:
    assert isinstance(each, RowStatistics)
    return replace(each, groups_N=np.where(counts_N, each.groups_N, -1))


def weighted(
    clean: Mapping[str, Measured], weights_N: npt.NDArray[np.float64]
) -> dict[str, Measured]:
    """The scores of rows that count more or less; none of those that are no sums over rows."""
    return {
        label: replace(
            each,
            values_NK=each.values_NK * weights_N[:, None],
            groups_N=np.where(weights_N > 0, each.groups_N, -1),
        )
        for label, each in clean.items()
        if isinstance(each, RowStatistics)
    }
