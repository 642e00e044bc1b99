"""unified_vl/metrics/places/boxes.py: parity with torchvision, and laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl import torchvision_compat
from unified_vl.geometry import Box
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places import boxes
from unified_vl.metrics.registry import METRICS

fractions = st.lists(
    st.integers(0, 1000).map(lambda n: n / 1000), min_size=2, max_size=2, unique=True
).map(sorted)
any_box = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), fractions, fractions)


def as_tensor(rows: list[Box]) -> torch.Tensor:
    return torch.tensor([[b.x1, b.y1, b.x2, b.y2] for b in rows], dtype=torch.float64)


@settings(deadline=None)  # the first call imports torchvision
@given(st.lists(any_box, min_size=1, max_size=4), st.lists(any_box, min_size=1, max_size=4))
def test_iou_is_that_of_torchvision(left: list[Box], right: list[Box]) -> None:
    torchvision_compat.define_missing_operators()
    from torchvision.ops import box_iou

    expected = box_iou(as_tensor(left), as_tensor(right))
    found = torch.tensor([[boxes.iou(a, b) for b in right] for a in left], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@given(any_box, any_box)
def test_iou_is_symmetric_bounded_and_one_for_itself(a: Box, b: Box) -> None:
    assert boxes.iou(a, b) == pytest.approx(boxes.iou(b, a))
    assert 0 <= boxes.iou(a, b) <= 1 + 1e-12
    assert boxes.iou(a, a) == pytest.approx(1)


@given(st.lists(st.tuples(any_box, any_box), min_size=1, max_size=6))
def test_accuracy_falls_as_the_threshold_rises(pairs: list[tuple[Box, Box]]) -> None:
    found, right = [p for p, _ in pairs], [[r] for _, r in pairs]
    answers = [
        Answers(found, right, [None] * len(found), threshold=t) for t in (0.0, 0.3, 0.5, 0.9)
    ]
    scores = [METRICS["box_accuracy"].score(each) for each in answers]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100


def test_a_known_case() -> None:
    left, right = Box(0.0, 0.0, 0.5, 1.0), Box(0.25, 0.0, 0.75, 1.0)
    assert boxes.iou(left, right) == pytest.approx(1 / 3)
    answers = Answers([left, None, left], [[right, left], [left], [right]], [None] * 3)
    assert METRICS["box_accuracy"].score(answers) == pytest.approx(100 / 3)
    assert METRICS["mean_iou"].score(answers) == pytest.approx(100 * (1 + 0 + 1 / 3) / 3)


def test_the_threshold_of_the_spec_is_used_and_reached_by_equality() -> None:
    half = Box(0.0, 0.0, 0.5, 1.0)
    whole = Box(0.0, 0.0, 1.0, 1.0)
    assert METRICS["box_accuracy"].is_right(half, [whole], threshold=0.5)
    assert not METRICS["box_accuracy"].is_right(half, [whole], threshold=0.51)
    assert not METRICS["mean_iou"].is_right(None, [whole])
    loose = Answers([half], [[whole]], [None], threshold=0.5)
    strict = Answers([half], [[whole]], [None], threshold=0.6)
    assert METRICS["box_accuracy"].score(loose) == 100
    assert METRICS["box_accuracy"].score(strict) == 0


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        METRICS["mean_iou"].score(Answers([], [], []))
