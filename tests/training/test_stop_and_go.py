"""Tasks rest when they have learnt what they can, and wake when they forget it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.errors import TrainingFault
from unified_vl.specs.schedule import StopAndGoSpec
from unified_vl.training.schedules.stop_and_go import StopAndGo

SCORES = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=30)


def states(scores: list[float], rule: StopAndGoSpec | None = None, higher: bool = True) -> str:
    """G or S after each score."""
    task = StopAndGo("a", rule or StopAndGoSpec(), higher)
    found = ""
    for number, score in enumerate(scores):
        task.observe(score, number)
        found += task.state[0]
    return found


def test_the_numbers_of_the_paper() -> None:
    # two scores without 0.1 % more: rest; 0.5 % below the best: wake
    assert states([50, 60, 60.05, 60.05]) == "GGGS"
    assert states([50, 60, 60.05, 60.05, 59.8, 59.7]) == "GGGSSG"
    assert states([50, 60, 60.05, 60.2]) == "GGGG"


def test_many_small_gains_are_a_gain() -> None:
    """Each is below 0.1 %, together they are not; the published rule would rest."""
    assert "S" not in states([60 * 1.0006**n for n in range(20)])


def test_a_task_that_gets_worse_does_not_rest() -> None:
    """The published code skips the check for losses when the one for gains fires."""
    assert states([60, 50, 50, 50]) == "GGGG"


def test_awake_again_it_has_time_to_recover() -> None:
    assert states([60, 60, 60, 50, 59.9, 59.9, 60, 60]) == "GGSGGSSS"


@pytest.mark.parametrize("higher", [True, False])
def test_scores_at_and_below_zero(higher: bool) -> None:
    sign = 1 if higher else -1
    assert states([0, 0, 0], higher=higher) == "GGS"
    assert states([0.0, sign * 1.0, sign * 2.0], higher=higher) == "GGG"
    assert states([-sign * 4, -sign * 2, -sign * 1, -sign * 1, -sign * 1], higher=higher) == "GGGGS"
    assert states([0, 0, 0, -sign * 0.01], higher=higher) == "GGSG"


@given(SCORES)
def test_where_lower_is_better_all_is_turned_round(scores: list[float]) -> None:
    assert states(scores) == states([-score for score in scores], higher=False)


@given(SCORES, st.floats(0.01, 100))
def test_only_relations_count(scores: list[float], factor: float) -> None:
    rule = StopAndGoSpec(min_gain=0, max_drop=0)
    ranks = sorted(set(scores))
    ranked = [float(ranks.index(score)) for score in scores]
    assert states(scores, rule) == states(ranked, rule)


@given(SCORES, st.integers(0, 30))
def test_it_goes_on_from_its_state(scores: list[float], cut: int) -> None:
    whole, second = (StopAndGo("a", StopAndGoSpec()) for _ in range(2))
    for number, score in enumerate(scores):
        if number == min(cut, len(scores) - 1):
            second.load_state_dict(json.loads(json.dumps(whole.state_dict())))
        told = whole.observe(score, number)
        if number >= cut:
            assert second.observe(score, number) == told


@given(st.integers(1, 6), st.integers(0, 50))
def test_who_rests_is_not_forgotten(gap: int, stopped: int) -> None:
    task = StopAndGo("a", StopAndGoSpec(patience=1, gap=gap))
    task.observe(1, stopped - 1)
    assert task.trains(stopped)
    task.observe(1, stopped)
    assert task.state == "STOP"
    rounds = [n for n in range(stopped + 1, stopped + 10 * gap + 1) if task.trains(n)]
    assert rounds == [stopped + gap * (n + 1) for n in range(10)]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_score_is_refused(score: float) -> None:
    with pytest.raises(TrainingFault, match=f"task 'a' is {score}, no finite number"):
        StopAndGo("a", StopAndGoSpec()).observe(score, 0)
