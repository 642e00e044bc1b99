"""The best checkpoint, by scores or by losses."""

from __future__ import annotations

import json
import math

import pytest

from unified_vl.training.record.best import Best


def test_without_scores_the_lowest_mean_loss_is_the_best() -> None:
    best = Best(by_scores=False)
    assert not best.checkpoint(1)  # nothing is known yet
    best.scores(1, {"a": 100.0})
    assert not best.checkpoint(2)
    best.losses(1, {"a": 2.0, "b": 4.0})
    assert best.checkpoint(3)
    assert not best.checkpoint(4)  # no better
    best.losses(1, {"a": 3.0, "b": 3.1})
    assert not best.checkpoint(5)
    best.losses(1, {"a": 3.0, "b": 2.9})
    assert best.checkpoint(6) and best.step == 6


def test_by_scores_metrics_that_fall_count_the_other_way() -> None:
    best = Best(by_scores=True, lower_is_better=frozenset("b"))
    best.scores(1, {"a": 50.0, "b": 50.0})
    best.losses(1, {"a": 0.0, "b": 0.0})
    assert best.checkpoint(1)
    best.scores(1, {"a": 51.0, "b": 52.0})
    assert not best.checkpoint(2)
    best.scores(1, {"a": 51.0, "b": 50.5})
    again = Best(by_scores=True, lower_is_better=frozenset("b"))
    again.load_state_dict(json.loads(json.dumps(best.state_dict())))
    assert again.step == 1 and again.checkpoint(3) and again.step == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("by_scores", [True, False])
def test_what_is_no_number_is_never_the_best(value: float, by_scores: bool) -> None:
    best = Best(by_scores=by_scores)
    note = best.scores if by_scores else best.losses
    note(1, {"a": value, "b": 1.0})
    assert not best.checkpoint(1)  # nor is the first one
    note(2, {"a": 2.0, "b": 1.0})
    assert best.checkpoint(2)
    note(3, {"a": value, "b": 1.0})
    assert not best.checkpoint(3) and best.step == 2
    note(4, {"a": 3.0 if by_scores else 1.0, "b": 1.0})
    assert best.checkpoint(4)
    state = {**best.state_dict(), "best": math.nan}  # of a checkpoint from before
    best.load_state_dict(json.loads(json.dumps(state)))
    assert best.step is None and best.checkpoint(5)


def test_it_says_whose_value_it_was() -> None:
    best = Best(by_scores=False)
    best.losses(10, {"a": 2.0, "b": 4.0})
    assert best.checkpoint(12)
    assert best.facts() == {"by": "validation losses", "mean": 3.0, "scored_step": 10}
    best.losses(20, {"a": 9.0})
    assert not best.checkpoint(24) and (best.step, best.scored) == (12, 10)
