"""correlation.py beside numpy's formula and worked ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS


def score(name: str, found: list[str], right: list[str]) -> float:
    return METRICS[name].score(Answers(found, [[r] for r in right], ["en"] * len(right)))


values = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=2, max_size=40)


@given(values)
def test_pearson_is_numpys(pairs: list[tuple[int, int]]) -> None:
    x, y = ([value / 5 for value in side] for side in zip(*pairs, strict=True))
    flat = len(set(x)) == 1 or len(set(y)) == 1
    expected = 0.0 if flat else 100 * np.corrcoef(x, y)[0, 1]
    found = score("pearson", [str(v) for v in x], [str(v) for v in y])
    assert found == pytest.approx(expected, abs=1e-6)


@given(values)
def test_spearman_is_pearson_of_ranks(pairs: list[tuple[int, int]]) -> None:
    def ranks(side: tuple[int, ...]) -> list[float]:
        below = [sum(other < value for other in side) for value in side]
        same = [sum(other == value for other in side) for value in side]
        return [a + (b + 1) / 2 for a, b in zip(below, same, strict=True)]

    x, y = zip(*pairs, strict=True)
    found = score("spearman", [str(v) for v in x], [str(v) for v in y])
    expected = score("pearson", [str(v) for v in ranks(x)], [str(v) for v in ranks(y)])
    assert found == pytest.approx(expected, abs=1e-6)


def test_glues_number_is_the_mean_of_both() -> None:
    found, right = ["1.0", "2.5", "2.0", "4.0", "none"], ["0.0", "2.0", "3.0", "5.0", "1.0"]
    x, y = [1.0, 2.5, 2.0, 4.0, -1.0], [float(value) for value in right]
    # ranks 2 4 3 5 1 against 1 3 4 5 2: 1 - 6 * 4 / (5 * 24)
    expected = (100 * np.corrcoef(x, y)[0, 1] + 80) / 2
    assert score("pearson_spearman", found, right) == pytest.approx(expected)


def test_worked_ranks() -> None:
    # ranks 1 2 3 4 5 against 1 3 2 5 4: 1 - 6 * 4 / (5 * 24)
    assert score("spearman", [*"12345"], [*"14396"]) == pytest.approx(80)


def test_numbers_far_from_zero_lose_nothing() -> None:
    x = [1e8 + v for v in (0.0, 1.0, 2.0, 4.0)]
    y = [1e8 + v for v in (1.0, 1.0, 2.0, 3.0)]
    expected = 100 * np.corrcoef([0, 1, 2, 4], [1, 1, 2, 3])[0, 1]
    assert score("pearson", [repr(v) for v in x], [repr(v) for v in y]) == pytest.approx(expected)


def test_an_answer_that_is_no_number() -> None:
    said = score("pearson", ["many", "nan", "3", "4"], ["1", "2", "3", "4"])
    assert said == pytest.approx(100 * np.corrcoef([-1, -1, 3, 4], [1, 2, 3, 4])[0, 1])
