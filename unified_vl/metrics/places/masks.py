"""How well what an answer covers fits: outlines, or a picture that is a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unified_vl.geometry import Polygon
from unified_vl.metrics.answers import Predicted, polygons
from unified_vl.metrics.metric import Metric, credit, half_credit
from unified_vl.metrics.pictures.pictures import Picture, picture_of

SIDE = 256  # pixels of a side on which outlines are compared
BRIGHT = 128  # of a mask: the thing is where the mean of RGB reaches this


def outlines_iou(prediction: Sequence[Polygon], references: Sequence[Polygon]) -> float:
    """Intersection over union of what two sets of outlines cover, on 256 x 256 pixels; 1 for none
    where there are none."""
    if not prediction and not references:
        return 1.0
    found, right = _mask(prediction), _mask(references)
    union = np.logical_or(found, right).sum()
    return float(np.logical_and(found, right).sum() / union) if union else 0.0


def pictures_iou(found_HWC: Picture, true_HWC: Picture) -> float:
    """Intersection over union of what is bright in two pictures; 1 where nothing is in either."""
    found_HW, true_HW = (p.mean(axis=2) >= BRIGHT for p in (found_HWC, true_HWC))
    union = int((found_HW | true_HW).sum())
    return float((found_HW & true_HW).sum() / union) if union else 1.0


def _mask(polygons: Sequence[Polygon]) -> np.ndarray:
    from pycocotools import mask

    if not polygons:
        return np.zeros((SIDE, SIDE), bool)
    outlines = [[v * SIDE for v in polygon.xy] for polygon in polygons]
    runs = mask.merge(mask.frPyObjects(outlines, SIDE, SIDE))
    return mask.decode(runs).astype(bool)


def mask_iou(prediction: Any, references: Sequence[Any], language: str | None = None) -> float:
    """The overlap of outlines, or of a picture that is a mask, with the true one."""
    if isinstance(prediction, np.ndarray):
        return pictures_iou(prediction, references[0])
    return outlines_iou(prediction, references)


def _mask_of(prediction: Predicted) -> Picture | list[Polygon]:
    return picture_of(prediction) if prediction.images else polygons(prediction)


METRICS = (
    Metric(
        name="mask_iou",
        label="mask IoU",
        about="mean over rows of intersection over union of what the outlines cover; of pictures, "
        "of what is bright (mean of R, G and B from 128 on), 100 where neither is",
        kinds=("polygon", "image_codes"),
        unit="%",
        rows=credit(mask_iou),
        answer=_mask_of,
        right=half_credit(mask_iou),
    ),
)
