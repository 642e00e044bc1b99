"""unified_vl/metrics/texts/ranks.py: NDCG as scikit-learn has it, ranks worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.texts.ranks import ndcg, rank

FITTING = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=30)


@given(FITTING.filter(any), st.randoms(use_true_random=False))
def test_ndcg_agrees_with_scikit_learn(relevance: list[float], random) -> None:
    names = [str(number) for number in range(len(relevance))]
    order = random.sample(range(len(names)), len(names))
    found = ndcg([names[n] for n in order], dict(zip(names, relevance, strict=True)))
    scores = np.empty(len(names))
    scores[order] = -np.arange(len(names))
    relevant = sum(value > 0 for value in relevance)
    expected = ndcg_score([relevance], [scores], k=relevant, ignore_ties=True)
    assert found == pytest.approx(expected, abs=1e-12)


def test_ranks_are_those_of_the_right_choice() -> None:
    rankings = [("b", "a", "c"), ("a", "b", "c"), ("c", "b")]
    answers = Answers(rankings, [["a"], ["a"], ["a"]], ["en"] * 3)
    assert [rank(r, ["a"]) for r in rankings] == [2, 1, 3]  # behind all where it is not there
    assert METRICS["mean_rank"].score(answers) == 2
    assert not METRICS["mean_rank"].higher_is_better
    assert METRICS["mean_reciprocal_rank"].score(answers) == pytest.approx(100 * (1.5 + 1 / 3) / 3)
    assert METRICS["recall"].score(answers) == pytest.approx(100 / 3)
    two = Answers(rankings, [["a"]] * 3, ["en"] * 3, top=2)
    assert METRICS["recall"].score(two) == pytest.approx(200 / 3)


def test_rows_of_which_nobody_says_what_fits_do_not_count() -> None:
    fits = {"a": 1.0, "b": 0.0}
    answers = Answers(
        [("a", "b"), ("b", "a"), ("b", "a"), ("a", "b")],
        [["a"]] * 4,
        ["en"] * 4,
        relevances=[fits, fits, None, {"a": 0.0, "b": 0.0}],
    )
    assert METRICS["ndcg"].score(answers) == 50  # the second finds nothing in the one place
    assert METRICS["ndcg"].measure(answers).values_NK[:, 1].tolist() == [1, 1, 0, 0]
