"""Average precision of boxes as COCO's evaluation computes it (pycocotools)."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from unified_vl.geometry import Box
from unified_vl.metrics.answers import Answers, Predicted
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.places.boxes import iou

# COCO's pictures are about so many pixels on a side. IoU does not depend on it.
SIDE = 640.0


@dataclass(frozen=True, slots=True)
class Detection:
    """A box that a model found.

    Attributes:
        box: where.
        score: how sure it is; only the order matters.
        label: what; boxes match boxes of the same label only.
    """

    box: Box
    score: float
    label: str = ""


def coco_map(
    detections: Sequence[Sequence[Detection]],
    truths: Sequence[Sequence[tuple[Box, str]]],
) -> float:
    """Mean average precision over labels and IoU 0.50, 0.55, ... 0.95, in percent.

    At most 100 boxes of an image and label count. Where no image has a truth there is no
    precision; that then is 100 when nothing was found, and 0 otherwise.

    Args:
        detections: what was found in each image, in any order.
        truths: the boxes of each image with their labels.

    Raises:
        ValueError: when there is no image.
    """
    if not truths:
        raise ValueError("there is nothing to score")
    if not any(truths):
        return 0.0 if any(detections) else 100.0
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        return 100.0 * _evaluate(detections, truths)


def _evaluate(
    detections: Sequence[Sequence[Detection]], truths: Sequence[Sequence[tuple[Box, str]]]
) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels = sorted({label for image in truths for _, label in image})
    number = {label: place for place, label in enumerate(labels, start=1)}
    right, found = COCO(), COCO()
    for coco, boxes in (
        (right, [[(box, label, 1.0) for box, label in image] for image in truths]),
        (found, [[(d.box, d.label, d.score) for d in image] for image in detections]),
    ):
        annotations = [
            {"image_id": image, "category_id": number[label], "score": score, **_annotation(box)}
            for image, row in enumerate(boxes, start=1)
            for box, label, score in row
            if label in number  # of a label without truths there is no precision
        ]
        coco.dataset = {
            "images": [{"id": image} for image in range(1, len(truths) + 1)],
            "categories": [{"id": place, "name": label} for label, place in number.items()],
            "annotations": [a | {"id": i} for i, a in enumerate(annotations, start=1)],
        }
        coco.createIndex()
    evaluation = COCOeval(right, found, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0.0, SIDE**2]], ["all"]
    evaluation.params.maxDets = [100]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"]  # IoU, recall, label, area, boxes
    return float(precision[precision > -1].mean())


def _annotation(box: Box) -> dict[str, object]:
    width, height = (box.x2 - box.x1) * SIDE, (box.y2 - box.y1) * SIDE
    corner = [box.x1 * SIDE, box.y1 * SIDE, width, height]
    return {"bbox": corner, "area": width * height, "iscrowd": 0}


def all_found(boxes: Sequence[Box], truths: Sequence[Box], threshold: float) -> bool:
    """Whether each box that was found meets a truth of its own, and none is left over.

    Boxes take, in order, the truth of their label that they overlap most of those still free.
    """
    free = list(truths)
    for box in boxes:
        alike = (truth for truth in free if truth.label == box.label)
        best = max(alike, key=partial(iou, box), default=None)
        if best is None or iou(box, best) < threshold:
            return False
        free.remove(best)
    return not free


def detections_of(prediction: Predicted) -> list[Detection]:
    """All boxes of an answer. They have no scores of their own: each has the probability of the
    whole answer."""
    sure = math.exp(prediction.score or 0.0)
    boxes = (segment for segment in prediction.segments if isinstance(segment, Box))
    return [Detection(box, sure, box.label or "") for box in boxes]


def _map(answers: Answers) -> float:
    truths = [[(box, box.label or "") for box in row] for row in answers.references]
    return coco_map(answers.predictions, truths)


METRICS = (
    Metric(
        name="coco_map",
        label="COCO mAP",
        about="average precision over IoU 0.50, 0.55, … 0.95 by pycocotools, all boxes of a row, "
        "of each class (label) by itself",
        kinds=("box",),
        unit="%",
        whole=_map,
        answer=detections_of,
        right=lambda found, right, iou, _: all_found([d.box for d in found], right, iou),
        references="all",
    ),
)
