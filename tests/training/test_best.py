"""The best checkpoint, by scores or by losses."""

from __future__ import annotations

import json

from unified_vl.training.best import Best


def test_without_scores_the_lowest_mean_loss_is_the_best() -> None:
    best = Best(by_scores=False)
    assert not best.checkpoint(1)  # nothing is known yet
    best.scores({"a": 100.0})
    assert not best.checkpoint(2)
    best.losses({"a": 2.0, "b": 4.0})
    assert best.checkpoint(3)
    assert not best.checkpoint(4)  # no better
    best.losses({"a": 3.0, "b": 3.1})
    assert not best.checkpoint(5)
    best.losses({"a": 3.0, "b": 2.9})
    assert best.checkpoint(6) and best.step == 6


def test_by_scores_metrics_that_fall_count_the_other_way() -> None:
    best = Best(by_scores=True, falling=frozenset("b"))
    best.scores({"a": 50.0, "b": 50.0})
    best.losses({"a": 0.0, "b": 0.0})
    assert best.checkpoint(1)
    best.scores({"a": 51.0, "b": 52.0})
    assert not best.checkpoint(2)
    best.scores({"a": 51.0, "b": 50.5})
    again = Best(by_scores=True, falling=frozenset("b"))
    again.load_state_dict(json.loads(json.dumps(best.state_dict())))
    assert again.step == 1 and again.checkpoint(3) and again.step == 3
