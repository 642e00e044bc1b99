"""classes.py: worked tables, scikit-learn's formulas by hand, and the rows' sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS


def score(name: str, found: list[str], right: list[str]) -> float:
    return METRICS[name].score(Answers(found, [[r] for r in right], ["en"] * len(right)))


CASES = [  # predictions, references, matthews, macro F1
    # tp 2, tn 1, fp 1, fn 1: (2*1 - 1*1) / sqrt(3*3*2*2); F1 4/6 and 2/4
    ("11001", "11010", 1 / 6, (4 / 6 + 2 / 4) / 2),
    ("1100", "1100", 1.0, 1.0),
    ("0011", "1100", -1.0, 0.0),
    ("1111", "1100", 0.0, (4 / 6 + 0) / 2),
    ("1111", "1111", 0.0, 1.0),
    # sklearn.metrics.matthews_corrcoef([0,1,2,0,1,2], [0,2,1,0,0,1]) = 0.09128709...
    # (2*6 - 10) / sqrt((36-14)*(36-12)), F1: 2*2/(3+2), 0, 0
    ("021001", "012012", (2 * 6 - 12) / ((36 - 14) * (36 - 12)) ** 0.5, (4 / 5) / 3),
    # an answer that is no class: predicted (x) counts as one more class for Matthews
    ("1x00", "1100", (3 * 4 - (1 * 2 + 2 * 2)) / ((16 - 6) * (16 - 8)) ** 0.5, (2 / 3 + 1) / 2),
]


@pytest.mark.parametrize(("found", "right", "matthews", "f1"), CASES)
def test_worked_tables(found: str, right: str, matthews: float, f1: float) -> None:
    assert score("matthews_correlation", [*found], [*right]) == pytest.approx(100 * matthews)
    assert score("macro_f1", [*found], [*right]) == pytest.approx(100 * f1)


def by_definition(found: list[int], right: list[int], classes: int) -> float:
    """The correlation of the classes' indicators (Gorodkin, 2004), summed over classes."""
    x, y = np.eye(classes)[found], np.eye(classes)[right]

    def covariance(a: np.ndarray, b: np.ndarray) -> float:
        return float(((a - a.mean(0)) * (b - b.mean(0))).sum())

    below = (covariance(x, x) * covariance(y, y)) ** 0.5
    return covariance(x, y) / below if below > 1e-9 else 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_matthews_is_the_correlation_of_indicators(pairs: list[tuple[int, int]]) -> None:
    found, right = [a for a, _ in pairs], [b for _, b in pairs]
    # classes that no reference has are one
    known = set(right)
    merged = [a if a in known else 3 for a in found]
    expected = 100 * by_definition(merged, right, 4)
    said = score("matthews_correlation", [str(a) for a in found], [str(b) for b in right])
    assert said == pytest.approx(expected, abs=1e-6)


def test_parts_of_the_rows_are_scored_from_their_sums() -> None:
    found, right = [*"1100101"], [*"1010011"]
    rows = METRICS["matthews_correlation"].measure(Answers(found, [[r] for r in right], [None] * 7))
    part = [0, 2, 3, 4]
    alone = score("matthews_correlation", [found[i] for i in part], [right[i] for i in part])
    assert rows.score(part) == pytest.approx(alone)


def test_case_does_not_count() -> None:
    assert score("macro_f1", ["YES", "no"], ["yes", "No"]) == pytest.approx(100)
    assert METRICS["macro_f1"].is_right("YES", ["yes"])
    assert not METRICS["matthews_correlation"].is_right("maybe", ["yes"])


BINARY = [  # predictions, references, sklearn.metrics.f1_score(references, predictions)
    ("11001", "11010", 2 * 2 / (3 + 3)),
    ("1100", "1100", 1.0),
    ("0011", "1100", 0.0),
    ("1111", "1100", 2 * 2 / (4 + 2)),
    ("0000", "0000", 0.0),  # nothing of the class: scikit-learn's zero_division=0
    ("1x1", "110", 2 * 1 / (2 + 2)),
]


@pytest.mark.parametrize(("found", "right", "f1"), BINARY)
def test_f1_of_one_class(found: str, right: str, f1: float) -> None:
    answers = Answers([*found], [[r] for r in right], ["en"] * len(right), positive="1")
    assert METRICS["binary_f1"].score(answers) == pytest.approx(100 * f1)
    assert METRICS["binary_f1"].score(answers.of(range(len(right)))) == pytest.approx(100 * f1)


def test_the_class_of_an_f1_is_found_in_any_case() -> None:
    answers = Answers(["DUPLICATE"], [["duplicate"]], ["en"], positive="Duplicate")
    assert METRICS["binary_f1"].score(answers) == 100
    assert METRICS["binary_f1"].is_right("Duplicate", ["duplicate"])
