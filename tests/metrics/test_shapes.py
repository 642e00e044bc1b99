from __future__ import annotations

import pytest

from unified_vl.geometry import Box, Point, Polygon
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places.masks import outlines_iou
from unified_vl.metrics.places.points import point_fits
from unified_vl.metrics.registry import METRICS

LEFT = Polygon((0.0, 0.0, 0.5, 0.0, 0.5, 1.0, 0.0, 1.0))
RIGHT = Polygon((0.5, 0.0, 1.0, 0.0, 1.0, 1.0, 0.5, 1.0))
WHOLE = Polygon((0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0))


def test_a_point_fits_in_a_box_or_near_a_point() -> None:
    box = Box(0.2, 0.2, 0.4, 0.4)
    assert point_fits(Point(0.4, 0.3), [box], 0.05)
    assert not point_fits(Point(0.41, 0.3), [box], 0.05)
    assert point_fits(Point(0.41, 0.3), [box, Point(0.45, 0.3)], 0.05)
    assert not point_fits(Point(0.3, 0.3), [Point(0.3, 0.45)], 0.1)  # 0.15 of 0.141
    assert not point_fits(None, [box], 0.05)


@pytest.mark.parametrize(
    ("found", "right", "overlap"),
    [
        ([LEFT], [LEFT], 1.0),
        ([LEFT], [RIGHT], 0.0),
        ([LEFT], [WHOLE], 0.5),
        ([LEFT, RIGHT], [WHOLE], 1.0),
        ([], [WHOLE], 0.0),
    ],
)
def test_outlines_overlap_as_areas_do(
    found: list[Polygon], right: list[Polygon], overlap: float
) -> None:
    assert outlines_iou(found, right) == pytest.approx(overlap, abs=0.01)
    assert outlines_iou(found, right) == outlines_iou(right, found)


def test_the_metrics_of_a_spec() -> None:
    answers = Answers([Point(0.5, 0.5), None], [[Point(0.5, 0.52)], [LEFT]], [None] * 2, 0.05)
    assert METRICS["point_accuracy"].score(answers) == 50
    answers = Answers(["4", "none", "-1.5"], [["6"], ["3"], ["-1.0", "2"]], [None] * 3)
    assert METRICS["mean_absolute_error"].score(answers) == pytest.approx((2 + 3 + 0.5) / 3)
    assert not METRICS["mean_absolute_error"].higher_is_better
    mask = METRICS["mask_iou"]
    assert mask.is_right([LEFT], [LEFT]) and not mask.is_right([LEFT], [RIGHT])
    assert METRICS["mean_absolute_error"].is_right("3.0", ["3"])
    assert METRICS["point_accuracy"].is_right(Point(0.5, 0.5), [Point(0.5, 0.52)], 0.05)


def test_boxes_of_other_labels_do_not_meet() -> None:
    def score(label: str) -> float:
        from unified_vl.metrics.places.detection import Detection

        found = [[Detection(Box(0, 0, 0.5, 0.5), 1.0, label)]]
        return METRICS["coco_map"].score(Answers(found, [[Box(0, 0, 0.5, 0.5, "猫")]], [None]))

    assert score("猫") == pytest.approx(100)
    assert score("犬") == 0
