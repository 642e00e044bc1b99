"""unified_vl/evaluation/reporting/charts.py"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.evaluation.reporting.charts import Curve, curves_of, draw_curve, thinned

values = st.lists(st.floats(0, 10), max_size=50)


@given(values, st.integers(1, 20))
def test_thinning_keeps_mean_and_order(losses: list[float], most: int) -> None:
    points = list(enumerate(losses))
    kept = thinned(points, most)
    assert len(kept) <= most
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})
    if len(points) <= most:
        assert kept == points
    elif len(points) % most == 0:
        mean = sum(losses) / len(losses)
        assert sum(v for _, v in kept) / len(kept) == pytest.approx(mean)


def test_curves_are_read_from_step_and_validation_events() -> None:
    events = [
        {"event": "resume", "step": 0},
        {"event": "validation", "step": 5, "task": "a", "loss": 14.0},
        {"event": "step", "step": 10, "task": "b", "loss": 3.0},
        {"event": "step", "step": 10, "task": "a", "loss": 2.0},
        {"event": "validation", "step": 10, "task": "b", "loss": 4.0},
        {"event": "step", "step": 20, "task": "b", "loss": 1.0},
        {"event": "skipped", "task": "a", "rows": 2},
    ]
    assert curves_of(events) == {
        "b": Curve([(10, 3.0), (20, 1.0)], [(10, 4.0)]),
        "a": Curve([(10, 2.0)], []),
    }


def test_scores_and_rests_are_read_too() -> None:
    events = [
        {
            "event": "step",
            "step": 10,
            "task": "a",
            "loss": 2.0,
            "updates": 8,
            "epochs": 0.5,
            "target_tokens": 70,
        },
        {"event": "score", "step": 10, "task": "a", "metric": "bleu", "score": 20.5},
        {"event": "stop_and_go", "step": 10, "task": "a", "state": "STOP"},
        {
            "event": "step",
            "step": 20,
            "task": "a",
            "loss": 1.0,
            "updates": 9,
            "epochs": 0.75,
            "target_tokens": 30,
        },
        {"event": "stop_and_go", "step": 20, "task": "a", "state": "GO"},
        {"event": "stop_and_go", "step": 40, "task": "a", "state": "STOP"},
    ]
    curve = curves_of(events)["a"]
    assert curve == Curve(
        [(10, 2.0), (20, 1.0)], [], [(10, 20.5)], "bleu", [(10, 20), (40, None)], 9, 0.75, 100
    )
    plain = Curve(curve.training)
    rests = Curve(curve.training, rests=curve.rests)
    assert draw_curve("a", curve, 50) != draw_curve("a", rests, 50) != draw_curve("a", plain, 50)


def test_a_drawing_stands_alone_and_takes_no_colour_of_its_own() -> None:
    svg = draw_curve("a_task", Curve([(1, 2.0), (50, 1.0)], [(25, 1.5)]), 100)
    assert svg.startswith("<svg viewBox=")
    assert svg.rstrip().endswith("</svg>")
    assert not re.search(r"#[0-9a-f]{6}\b(?!\w)", re.sub(r"#[mp][0-9a-f]{10}", "", svg))
    assert "font-family" not in svg
    assert "<style" not in svg
    assert 'aria-label="Loss of a_task over 100 steps"' in svg


def test_the_same_curve_gives_the_same_drawing_and_ids_differ_between_tasks() -> None:
    curve = Curve([(1, 2.0), (50, 1.0)], [(25, 1.5)])
    assert draw_curve("a", curve, 100) == draw_curve("a", curve, 100)
    ids = [set(re.findall(r'id="([^"]*)"', draw_curve(name, curve, 100))) for name in "ab"]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_an_empty_curve_can_be_drawn() -> None:
    assert draw_curve("a", Curve(), 100).startswith("<svg")
