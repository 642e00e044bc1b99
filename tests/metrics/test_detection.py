"""unified_vl/metrics/places/detection.py: parity with pycocotools as people run it."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from unified_vl.geometry import Box, Point, Polygon
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places.detection import Detection, all_found, coco_map
from unified_vl.metrics.registry import METRICS

LEFT, RIGHT = Box(0.0, 0.0, 0.5, 1.0), Box(0.5, 0.0, 1.0, 1.0)
TRIANGLE = Polygon((0.1, 0.1, 0.9, 0.1, 0.1, 0.9))
Truths = list[list[tuple[Box, str]]]


def made_up(images: int) -> tuple[list[list[Detection]], Truths]:
    """Truths, and answers near them, with some missed, doubled and mislabelled."""
    rng = random.Random(3)
    found: list[list[Detection]] = []
    right: Truths = []
    for _ in range(images):
        truths, answers = [], []
        for _ in range(rng.randrange(5)):
            x, y = rng.uniform(0, 0.6), rng.uniform(0, 0.6)
            box = Box(x, y, x + rng.uniform(0.1, 0.4), y + rng.uniform(0.1, 0.4))
            label = rng.choice(["cat", "dog", "猫"])
            truths.append((box, label))
            for _ in range(rng.choice([0, 1, 1, 2])):
                near = rng.uniform(-0.05, 0.05)
                moved = Box(max(box.x1 + near, 0.0), box.y1, box.x2, box.y2)
                named = label if rng.random() < 0.8 else "dog"
                answers.append(Detection(moved, rng.random(), named))
        found.append(answers)
        right.append(truths)
    return found, right


def as_published(found: list[list[Detection]], right: Truths, folder: Path) -> float:
    """AP as the data set's own files and pycocotools' summary give it, at 1000 x 1000 pixels."""
    names = ["cat", "dog", "猫"]

    def pixels(box: Box) -> list[float]:
        return [1000 * v for v in (box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)]

    annotations = [
        {
            "image_id": i,
            "category_id": names.index(label) + 1,
            "bbox": pixels(box),
            "area": pixels(box)[2] * pixels(box)[3],
            "iscrowd": 0,
        }
        for i, row in enumerate(right, start=1)
        for box, label in row
    ]
    data = {
        "images": [{"id": i} for i in range(1, len(right) + 1)],
        "categories": [{"id": i, "name": n} for i, n in enumerate(names, start=1)],
        "annotations": [a | {"id": i} for i, a in enumerate(annotations, start=1)],
        "info": {},
    }
    results = [
        {
            "image_id": i,
            "category_id": names.index(d.label) + 1,
            "bbox": pixels(d.box),
            "score": d.score,
        }
        for i, row in enumerate(found, start=1)
        for d in row
    ]
    (folder / "truths.json").write_text(json.dumps(data))
    (folder / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truths.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def test_map_is_that_of_pycocotools(tmp_path: Path) -> None:
    found, right = made_up(30)
    ours = coco_map(found, right)
    assert ours == pytest.approx(100 * as_published(found, right, tmp_path), abs=1e-9)
    assert 20 < ours < 90


def test_known_cases() -> None:
    truths: Truths = [[(LEFT, ""), (RIGHT, "")]]
    assert coco_map([[Detection(LEFT, 0.9), Detection(RIGHT, 0.8)]], truths) == pytest.approx(100)
    assert coco_map([[]], truths) == 0
    # one of two: precision 1 up to a recall of a half, 51 of 101 points
    assert coco_map([[Detection(LEFT, 0.9)]], truths) == pytest.approx(100 * 51 / 101)
    assert coco_map([[Detection(LEFT, 0.9, "other")]], [[(LEFT, "cat")]]) == 0
    assert coco_map([[Detection(LEFT, 0.9)]], [[]]) == 0


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    coco_map([[Detection(LEFT, 0.9)]], [[(LEFT, "")]])
    assert capsys.readouterr().out == ""


def test_the_metric_takes_all_boxes_of_a_row() -> None:
    answers = Answers([[Detection(LEFT, 0.9)], []], [[LEFT], [RIGHT]], [None, None])
    assert METRICS["coco_map"].score(answers) == pytest.approx(100 * 51 / 101)
    with pytest.raises(ValueError, match="nothing to score"):
        METRICS["coco_map"].score(Answers([], [], []))


def test_all_boxes_are_found_when_none_is_missing_and_none_is_left_over() -> None:
    assert all_found([LEFT, RIGHT], [RIGHT, LEFT], 0.5)
    assert not all_found([LEFT], [LEFT, RIGHT], 0.5)
    assert not all_found([LEFT, LEFT], [LEFT], 0.5)
    assert not all_found([LEFT, RIGHT], [LEFT, LEFT], 0.5)


def test_an_image_without_objects_is_right_when_nothing_is_found() -> None:
    truths = [[(LEFT, "")], []]
    assert coco_map([[Detection(LEFT, 0.9)], []], truths) == pytest.approx(100)
    found_in_nothing = [[Detection(LEFT, 0.5)], [Detection(RIGHT, 0.9)]]
    assert coco_map(found_in_nothing, truths) < 60
    assert coco_map([[], []], [[], []]) == 100
    assert coco_map([[Detection(LEFT, 0.9)], []], [[], []]) == 0


@pytest.mark.parametrize(
    ("metric", "nothing", "something", "reference"),
    [
        ("coco_map", [], [Detection(LEFT, 0.9)], LEFT),
        ("box_accuracy", None, LEFT, LEFT),
        ("mean_iou", None, LEFT, LEFT),
        ("point_accuracy", None, Point(0.1, 0.1), LEFT),
        ("mask_iou", [], [TRIANGLE], TRIANGLE),
    ],
)
def test_nothing_is_right_where_there_is_nothing(
    metric: str, nothing: object, something: object, reference: object
) -> None:
    assert METRICS[metric].is_right(nothing, [])
    assert not METRICS[metric].is_right(something, [])
    assert not METRICS[metric].is_right(nothing, [reference])
    answers = Answers([nothing, something, nothing], [[], [], [reference]], [None] * 3)
    if metric != "coco_map":  # of which no image is right or wrong alone
        assert METRICS[metric].score(answers) == pytest.approx(100 / 3)
