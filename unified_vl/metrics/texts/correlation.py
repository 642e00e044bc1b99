"""How predicted numbers go with the right ones.

N rows, R choices of rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats

NO_NUMBER = -1.0  # what an answer that is none counts as (T5; Raffel et al., 2020, for STS-B)


def pearson_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """Sums from which Pearson's correlation follows, (N, 6)."""
    x_N, y_N = _numbers(predictions), _numbers([answers[0] for answers in references])
    middle = y_N.mean() if len(y_N) else 0.0  # a correlation is the same, its rounding is not
    x_N, y_N = x_N - middle, y_N - middle
    return np.stack([np.ones_like(x_N), x_N, y_N, x_N * x_N, y_N * y_N, x_N * y_N], axis=1)


def pearson(sums_RK: Floats) -> Floats:
    """Pearson's correlation, times 100; 0 where either side is the same throughout."""
    n_R, x_R, y_R, xx_R, yy_R, xy_R = sums_RK.T
    above_R = n_R * xy_R - x_R * y_R
    spread_x_R, spread_y_R = n_R * xx_R - x_R**2, n_R * yy_R - y_R**2
    # what rounding leaves of no spread is no spread
    some_R = (spread_x_R > 1e-12 * n_R * xx_R) & (spread_y_R > 1e-12 * n_R * yy_R)
    below_R = np.sqrt(np.where(some_R, spread_x_R * spread_y_R, 1.0))
    return np.where(some_R, 100.0 * above_R / below_R, 0.0)


def spearman(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Spearman's correlation, times 100: Pearson's of the ranks, equal numbers sharing theirs.

    Raises:
        ValueError: when there is no row.
    """
    if not predictions:
        raise ValueError("there is nothing to score")
    x_N, y_N = _numbers(predictions), _numbers([answers[0] for answers in references])
    x_N, y_N = _ranks(x_N), _ranks(y_N)
    if np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return 0.0
    return 100.0 * float(np.corrcoef(x_N, y_N)[0, 1])


def pearson_spearman(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The mean of both correlations, times 100: GLUE's number of STS-B (Wang et al., 2019).

    Raises:
        ValueError: when there is no row.
    """
    ranked = spearman(predictions, references)
    sums_1K = pearson_statistics(predictions, references).sum(axis=0, keepdims=True)
    return (float(pearson(sums_1K)[0]) + ranked) / 2


def _ranks(values_N: Floats) -> Floats:
    _, place_N, count_U = np.unique(values_N, return_inverse=True, return_counts=True)
    last_U = np.cumsum(count_U)
    return (last_U - (count_U - 1) / 2)[place_N]


def _numbers(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.asarray([_number(text) for text in texts], np.float64)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return NO_NUMBER
    return value if math.isfinite(value) else NO_NUMBER


def _pearson_rows(answers: Answers) -> Floats:
    return pearson_statistics(answers.predictions, answers.references)


def _spearman(answers: Answers) -> float:
    return spearman(answers.predictions, answers.references)


def _both(answers: Answers) -> float:
    return pearson_spearman(answers.predictions, answers.references)


METRICS = (
    Metric(
        name="pearson",
        label="Pearson",
        about="Pearson's correlation of the numbers; an answer that is no number counts as −1, as "
        "in T5; 0 where either side is the same throughout",
        bounds=(-100.0, 100.0),
        rows=_pearson_rows,
        finish=pearson,
    ),
    Metric(
        name="spearman",
        label="Spearman",
        about="Spearman's rank correlation, equal numbers sharing a rank; else as `pearson`",
        bounds=(-100.0, 100.0),
        whole=_spearman,
    ),
    Metric(
        name="pearson_spearman",
        label="Pearson and Spearman",
        about="the mean of `pearson` and `spearman`, GLUE's number of STS-B",
        bounds=(-100.0, 100.0),
        whole=_both,
    ),
)
