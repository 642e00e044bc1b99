"""Ranking scores of a matrix of similarities.

Q queries, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unified_vl.metrics.statistics import Floats

DIRECTIONS = ("text_to_image", "image_to_text")
STAGES = ("first_stage", "reranked")
DEPTHS = (1, 5, 10)  # of recall


def ranks(scores_QC: Floats, right: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """The rank of each query's best right candidate, from 1, (Q,).

    A candidate that scores the same as the right one is ranked before it: a model that
    gives every pair the same score gains nothing.

    Args:
        scores_QC: how well each candidate fits each query; higher is better.
        right: the candidates of each query that are right, at least one.

    Raises:
        ValueError: where a score is not a number, or a query has no right candidate.
    """
    if np.isnan(scores_QC).any():
        raise ValueError("a score is not a number")
    if len(right) != len(scores_QC) or not all(right):
        raise ValueError("each query needs a right candidate")
    found = []
    for scores_C, candidates in zip(scores_QC, right, strict=True):
        wrong = np.delete(scores_C, list(candidates))
        best = scores_C[list(candidates)].max()
        found.append(1 + int((wrong >= best).sum()))
    return np.asarray(found, np.int64)


def recall_at(ranks_Q: npt.NDArray[np.int64], k: int) -> float:
    """Percentage of the queries with a right candidate among the first `k`."""
    return 100.0 * float((ranks_Q <= k).mean())


def median_rank(ranks_Q: npt.NDArray[np.int64]) -> float:
    """The median of the ranks; 1 is best."""
    return float(np.median(ranks_Q))
