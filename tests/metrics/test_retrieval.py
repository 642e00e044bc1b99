"""unified_vl/metrics/retrieval.py: known matrices, and ties against the model."""

from __future__ import annotations

import numpy as np
import pytest

from unified_vl.metrics.retrieval import median_rank, ranks, recall_at

SCORES = np.array(
    [
        [0.9, 0.1, 0.2, 0.3],  # right first
        [0.9, 0.8, 0.1, 0.2],  # second
        [0.9, 0.8, 0.1, 0.2],  # last
        [0.5, 0.5, 0.5, 0.5],  # all the same: last
    ]
)


def test_ranks_of_a_known_matrix() -> None:
    found = ranks(SCORES, [[0], [1], [2], [3]])
    assert found.tolist() == [1, 2, 4, 4]
    assert recall_at(found, 1) == 25
    assert recall_at(found, 2) == 50
    assert recall_at(found, 5) == 100
    assert median_rank(found) == 3


def test_the_best_of_several_right_candidates_counts() -> None:
    assert ranks(SCORES, [[2, 0], [2, 3], [0, 1], [0, 1, 2, 3]]).tolist() == [1, 3, 1, 1]


def test_recall_agrees_with_a_sorted_list() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 200))
    right = [[i, 199 - i] for i in range(50)]
    order = np.argsort(-scores, axis=1)
    expected = [1 + min(order[i].tolist().index(c) for c in right[i]) for i in range(50)]
    assert ranks(scores, right).tolist() == expected


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        ranks(np.array([[np.nan, 1.0]]), [[0]])
    with pytest.raises(ValueError, match="needs a right candidate"):
        ranks(np.array([[0.0, 1.0]]), [[]])
    with pytest.raises(ValueError, match="needs a right candidate"):
        ranks(np.array([[0.0, 1.0]]), [[0], [1]])
