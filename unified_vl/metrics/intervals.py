"""How much of a score, or of a difference of two, is luck of the rows.

N rows, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from unified_vl.metrics.statistics import Floats, RowStatistics

RESAMPLES = 1000
CONFIDENCE = 95.0  # percent
SEED = 0
LARGEST_CHUNK = 4_000_000  # numbers held at once


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models' scores on the same rows.

    Attributes:
        a: the score of the first.
        b: the score of the second.
        low: lower end of the 95 % interval of b - a, from a paired bootstrap.
        high: its upper end.
        p: probability of a difference as large, in either direction, if each row's answers
            had been given to the models by a coin (approximate randomisation).
    """

    a: float
    b: float
    low: float
    high: float
    p: float


def intervals(
    measured: Mapping[str, RowStatistics], resamples: int = RESAMPLES
) -> dict[str, list[float]]:
    """The 95 % percentile bootstrap interval of each score (Efron, 1979), `[low, high]`.

    Rows are drawn with replacement, the same for all scores, with a fixed seed. What a
    metric learnt from all rows (CIDEr's document frequencies) stays as it is.

    Args:
        measured: scores by name, all of the same rows.
        resamples: how often rows are drawn.
    """
    if not measured:
        return {}
    count = len(next(iter(measured.values())).values_NK)
    scores: dict[str, list[Floats]] = {name: [] for name in measured}
    for weights_RN in _draws(count, resamples):
        for name, each in measured.items():
            scores[name].append(each.scores(weights_RN))
    return {name: list(_ends(np.concatenate(parts))) for name, parts in scores.items()}


def compare(a: RowStatistics, b: RowStatistics, resamples: int = RESAMPLES) -> Difference:
    """Compare two models by one metric on the same rows, in the same order.

    The interval is a paired bootstrap's (Koehn, 2004): both models get the same rows. The
    test is approximate randomisation (Noreen, 1989; Riezler and Maxwell, 2005).

    Raises:
        ValueError: when the numbers of rows differ.
    """
    count = len(a.values_NK)
    if count != len(b.values_NK):
        raise ValueError(f"{count} rows and {len(b.values_NK)} rows")
    drawn = [b.scores(weights_RN) - a.scores(weights_RN) for weights_RN in _draws(count, resamples)]
    low, high = _ends(np.concatenate(drawn))
    both = RowStatistics(
        np.concatenate([a.values_NK, b.values_NK]),
        a.finish,
        np.concatenate([a.groups_N, b.groups_N]),
        a.alike,
    )
    found = abs(b.score() - a.score())
    random = np.random.default_rng(SEED)
    as_large = 0
    for size in _chunks(count, resamples):
        kept_RN = random.integers(0, 2, (size, count)).astype(np.float64)
        one = both.scores(np.hstack([kept_RN, 1 - kept_RN]))
        other = both.scores(np.hstack([1 - kept_RN, kept_RN]))
        # the models as they are may come up too, and rounding must not decide
        as_large += int((np.abs(other - one) >= found - 1e-9).sum())
    return Difference(a.score(), b.score(), low, high, (as_large + 1) / (resamples + 1))


def _draws(count: int, resamples: int) -> Iterator[Floats]:
    """How often each of `count` rows is in each resample, some resamples at a time."""
    random = np.random.default_rng(SEED)
    for size in _chunks(count, resamples):
        rows_RN = random.integers(0, count, (size, count))
        rows_RN += np.arange(size)[:, None] * count
        weights = np.bincount(rows_RN.ravel(), minlength=size * count)
        yield weights.reshape(size, count).astype(np.float64)


def _chunks(count: int, resamples: int) -> Iterator[int]:
    largest = max(1, LARGEST_CHUNK // max(count, 1))
    for start in range(0, resamples, largest):
        yield min(largest, resamples - start)


def _ends(scores_R: Floats) -> tuple[float, float]:
    outside = (100.0 - CONFIDENCE) / 2
    low, high = np.percentile(scores_R, [outside, 100.0 - outside])
    return round(float(low), 4), round(float(high), 4)
