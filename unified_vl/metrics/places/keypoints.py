"""Average precision of the points of people as COCO's evaluation computes it (pycocotools).

Two sets of points of a person are as alike as their object keypoint similarity (OKS) says
(cocodataset.org, "Keypoint Evaluation"). The people are given here by their boxes, so that a person
is found once, with the points that are asked for.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.geometry import Point
from unified_vl.metrics.answers import Answers, Predicted, first_point
from unified_vl.metrics.metric import Metric

SIDES = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = ("nose", *(f"{side} {part}" for part in SIDES for side in ("left", "right")))
NOWHERE = -1e4  # pixels; of a point that is not predicted: like no other


@dataclass
class Person:
    """A person of an image: their points by name, in pixels.

    Attributes:
        area: in pixels; what distances are measured by.
        right: the labelled points.
        found: what was predicted for these; nothing where no point was.
        sure: how sure the model is of each.
    """

    image: str
    area: float
    right: dict[str, tuple[float, float]] = field(default_factory=dict)
    found: dict[str, tuple[float, float]] = field(default_factory=dict)
    sure: list[float] = field(default_factory=list)


def keypoint_ap(people: Sequence[Person]) -> float:
    """Mean average precision over OKS 0.50, 0.55, ... 0.95, in percent.

    A person is as sure as their points are on average; at most 20 of an image count.

    Raises:
        ValueError: when there is nobody.
    """
    if not people:
        raise ValueError("there is nothing to score")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    number = {image: n for n, image in enumerate(dict.fromkeys(p.image for p in people), start=1)}
    right, found = COCO(), COCO()
    for coco, predicted in ((right, False), (found, True)):
        coco.dataset = {
            "images": [{"id": image} for image in number.values()],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {"id": n, "image_id": number[person.image], **_annotation(person, predicted)}
                for n, person in enumerate(people, start=1)
            ],
        }
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
            coco.createIndex()
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(right, found, "keypoints")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0.0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return 100.0 * float(precision[precision > -1].mean())


def _annotation(person: Person, predicted: bool) -> dict[str, object]:
    points = person.found if predicted else person.right
    flat: list[float] = []
    for name in NAMES:
        x, y = points.get(name, (NOWHERE, NOWHERE))
        flat += [x, y, 2 if name in points else 0]
    return {
        "category_id": 1,
        "keypoints": flat,
        "num_keypoints": len(person.right),
        "area": person.area,
        "bbox": [0.0, 0.0, 1.0, 1.0],  # what people without labelled points are measured by
        "iscrowd": 0,
        "score": sum(person.sure) / len(person.sure),
    }


def people_of(answers: Answers) -> list[Person]:
    """The people that rows of one point each are of.

    Raises:
        UserError: for a point that COCO has not, or an object without an area.
    """
    people: dict[tuple[str, str], Person] = {}
    rows = zip(
        answers.predictions,
        answers.references,
        answers.groups,
        answers.columns["keypoint"],
        answers.columns["area"],
        answers.images,
        answers.keys,
        strict=True,
    )
    for (point, sure), references, group, said, area, (image, size), key in rows:
        name = str(said).replace("_", " ")
        if name not in NAMES:
            raise UserError(
                f"the row {key}: the OKS of {said!r} is not known",
                expected="one of COCO's 17 points",
                nearest=nearest(name, NAMES),
            )
        if not isinstance(area, int | float) or not area > 0:
            raise UserError(f"the row {key}: found the area {area!r}", expected="a number above 0")
        person = people.setdefault((image, group), Person(image, float(area)))
        person.right[name] = _pixels(references[0], size)
        person.sure.append(sure)
        if point is not None:
            person.found[name] = _pixels(point, size)
    return list(people.values())


def _pixels(point: Point, size: tuple[int, int]) -> tuple[float, float]:
    return point.x * size[0], point.y * size[1]


def _sure_point(prediction: Predicted) -> tuple[Point | None, float]:
    """The first point, and the probability of the answer."""
    return first_point(prediction), math.exp(prediction.score or 0.0)


def _ap(answers: Answers) -> float:
    return keypoint_ap(people_of(answers) if len(answers) else [])


def _right(answer: tuple[Point | None, float], references: Sequence[Any], *_: Any) -> bool:
    return answer[0] is not None and answer[0] in references


METRICS = (
    Metric(
        name="keypoint_ap",
        label="COCO keypoint AP",
        about="COCO's average precision over OKS 0.50, 0.55, … 0.95 by pycocotools, of rows that "
        "are a labelled point each; the person is given, as in the papers' numbers \"with ground-"
        'truth boxes"',
        kinds=("point",),
        unit="%",
        whole=_ap,
        answer=_sure_point,
        right=_right,
        options=frozenset({"group", "keypoint", "area"}),
        may_be_primary=False,
    ),
)
