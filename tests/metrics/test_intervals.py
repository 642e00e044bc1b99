"""unified_vl/metrics/intervals.py: intervals that cover, and a test that is fair."""

from __future__ import annotations

import numpy as np
import pytest

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.intervals import compare, intervals
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.statistics import RowStatistics, mean_of_rows, per_row

SENTENCES = ["a red cat on a table", "the dog sleeps", "two big apples", "a small house here"]


def of_values(values: np.ndarray) -> RowStatistics:
    return RowStatistics(per_row(list(values)), mean_of_rows, np.zeros(len(values), np.int64))


def answers(count: int, wrong_every: int) -> Answers:
    right = [SENTENCES[i % 4] + f" {i % 7}" for i in range(count)]
    found = ["a cat" if i % wrong_every == 0 else r for i, r in enumerate(right)]
    return Answers(found, [[r] for r in right], ["en" if i % 3 else "de" for i in range(count)])


def test_a_mean_has_the_interval_of_the_normal_distribution() -> None:
    """1.96 standard errors on each side, within what 1,000 resamples know."""
    values = np.random.default_rng(1).normal(0.5, 0.1, 2000)
    low, high = intervals({"m": of_values(values)})["m"]
    error = 100 * values.std() / np.sqrt(2000)
    assert low == pytest.approx(100 * values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(100 * values.mean() + 1.96 * error, abs=0.2 * error)


def test_an_interval_covers_the_truth_in_about_95_of_100_samples() -> None:
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        low, high = intervals({"m": of_values(random.random(80) < 0.3)}, 200)["m"]
        hits += low <= 30 <= high
    assert 0.90 <= hits / 200 <= 0.99


OF_TEXTS_ROW_BY_ROW = [
    name
    for name, metric in METRICS.items()
    if metric.rows is not None
    and "text" in metric.kinds
    and not metric.ranks
    and not metric.options & {"implies", "group", "with"}
    and name != "cider"  # its rows know how rare a word is in all of them
]


@pytest.mark.parametrize("name", OF_TEXTS_ROW_BY_ROW)
def test_sums_of_statistics_score_as_the_rows_themselves(name: str) -> None:
    """A resample scores what its rows score when they are scored as a corpus."""
    rows = [0, 0, 3, 5, 5, 5, 8, 9, 11]
    metric = METRICS[name]
    everything = answers(12, 4)
    assert metric.measure(everything).score(rows) == pytest.approx(
        metric.score(everything.of(rows)), abs=1e-9
    )


def test_intervals_hold_the_score_and_are_the_same_each_time() -> None:
    measured = {n: METRICS[n].measure(answers(60, 3)) for n in ("bleu", "chrf", "ter", "cider")}
    found = intervals(measured, 200)
    assert found == intervals(measured, 200)
    for name, (low, high) in found.items():
        assert low < measured[name].score() < high
    assert intervals({}) == {}


def test_rows_are_drawn_in_the_same_way_whatever_fits_into_memory(monkeypatch) -> None:
    from unified_vl.metrics import intervals as module

    measured = {"m": of_values(np.arange(30) / 30)}
    whole = intervals(measured, 100)
    monkeypatch.setattr(module, "LARGEST_CHUNK", 90)
    assert intervals(measured, 100) == whole


def test_a_real_difference_is_found_and_its_direction_told() -> None:
    random = np.random.default_rng(3)
    hard = random.random(400)
    a, b = of_values(hard > 0.5), of_values(hard > 0.4)
    found = compare(a, b)
    assert found.b - found.a == pytest.approx(b.score() - a.score())
    assert 0 < found.low < found.b - found.a < found.high
    assert found.p < 0.01
    back = compare(b, a)
    assert back.p == pytest.approx(found.p, abs=0.01)
    assert back.high < 0


def test_equal_models_do_not_differ() -> None:
    same = METRICS["bleu"].measure(answers(40, 3))
    found = compare(same, same)
    assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)


def test_chance_is_called_a_difference_in_about_5_of_100_cases() -> None:
    random = np.random.default_rng(4)
    pairs = [(random.random(60) < 0.5, random.random(60) < 0.5) for _ in range(200)]
    called = [compare(of_values(a), of_values(b), 200).p < 0.05 for a, b in pairs]
    assert np.mean(called) <= 0.09


def test_reports_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rows and 4 rows"):
        compare(of_values(np.zeros(3)), of_values(np.zeros(4)))
