"""How much of a score, or of a difference of two, is luck of the rows.

N rows, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    return {name: list(ends(np.concatenate(parts))) for name, parts in scores.items()}


def compare(a: RowStatistics, b: RowStatistics, resamples: int = RESAMPLES) -> Difference:
    """Compare two models by one metric on the same rows, in the same order.

    The interval is a paired bootstrap's (Koehn, 2004): both models get the same rows. The
    test is approximate randomisation (Noreen, 1989; Riezler and Maxwell, 2005).

    Raises:
        ValueError: when the numbers of rows differ.
    """
    count = len(a.values_NK)
    low, high = ends(differences([(a, b)], resamples))
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


def differences(
    pairs: Sequence[tuple[RowStatistics, RowStatistics]], resamples: int, seed: int = SEED
) -> Floats:
    """The mean of the differences of pairs of scores in each resample, (R,); the rows that are
    drawn are the same for all.

    Args:
        pairs: of scores a and b; their difference is b - a. A pair none of whose rows that count
            is drawn does not count itself; where that is so of all, nan.
        resamples: how often rows are drawn.
        seed: of the draws.

    Raises:
        ValueError: when the numbers of rows differ.
    """
    counts = {len(each.values_NK) for pair in pairs for each in pair}
    if len(counts) != 1:
        raise ValueError(f"{' rows and '.join(map(str, sorted(counts)))} rows")
    (count,) = counts
    parts = []
    for weights_RN in _draws(count, resamples, seed):
        total_R, known_R = np.zeros(len(weights_RN)), np.zeros(len(weights_RN))
        for a, b in pairs:
            there_R = weights_RN[:, (a.groups_N >= 0) & (b.groups_N >= 0)].sum(axis=1) > 0
            with np.errstate(invalid="ignore", divide="ignore"):  # of rows whose weights are 0
                found_R = b.scores(weights_RN) - a.scores(weights_RN)
            there_R &= np.isfinite(found_R)
            total_R += np.where(there_R, found_R, 0)
            known_R += there_R
        parts.append(np.where(known_R, total_R / np.maximum(known_R, 1), np.nan))
    return np.concatenate(parts)


def _draws(count: int, resamples: int, seed: int = SEED) -> Iterator[Floats]:
    """How often each of `count` rows is in each resample, some resamples at a time."""
    random = np.random.default_rng(seed)
    for size in _chunks(count, resamples):
        rows_RN = random.integers(0, count, (size, count))
        rows_RN += np.arange(size)[:, None] * count
        weights = np.bincount(rows_RN.ravel(), minlength=size * count)
        yield weights.reshape(size, count).astype(np.float64)


def _chunks(count: int, resamples: int) -> Iterator[int]:
    largest = max(1, LARGEST_CHUNK // max(count, 1))
    for start in range(0, resamples, largest):
        yield min(largest, resamples - start)


def ends(scores_R: Floats) -> tuple[float, float]:
    """What 95 % of these lie between, those apart that are nan."""
    outside = (100.0 - CONFIDENCE) / 2
    low, high = np.nanpercentile(scores_R, [outside, 100.0 - outside])
    return round(float(low), 4), round(float(high), 4)
