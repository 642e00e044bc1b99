"""How well predicted points and outlines fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unified_vl.geometry import Box, Point, Polygon, Shape

SIDE = 256  # pixels of a side on which outlines are compared
DIAGONAL = math.sqrt(2.0)  # of an image whose sides are 1


def point_fits(prediction: Point | None, references: Sequence[Shape], within: float) -> bool:
    """Whether a point lies in one of the boxes, or near enough to one of the points.

    Args:
        prediction: None where nothing was predicted, which is right where there is no reference.
        references: boxes (the pointing game, arXiv 1608.00507) or points.
        within: the distance that counts as right, as a fraction of the diagonal; both axes
            run from 0 to 1.
    """
    if prediction is None:
        return not references
    return any(_meets(prediction, reference, within) for reference in references)


def _meets(point: Point, reference: Shape, within: float) -> bool:
    if isinstance(reference, Box):
        return reference.x1 <= point.x <= reference.x2 and reference.y1 <= point.y <= reference.y2
    assert isinstance(reference, Point)
    distance = math.hypot(point.x - reference.x, point.y - reference.y)
    return distance <= within * DIAGONAL


def mask_iou(prediction: Sequence[Polygon], references: Sequence[Polygon]) -> float:
    """Intersection over union of what two sets of outlines cover, on 256 x 256 pixels; 1 for none
    where there are none."""
    if not prediction and not references:
        return 1.0
    found, right = _mask(prediction), _mask(references)
    union = np.logical_or(found, right).sum()
    return float(np.logical_and(found, right).sum() / union) if union else 0.0


def _mask(polygons: Sequence[Polygon]) -> np.ndarray:
    from pycocotools import mask

    if not polygons:
        return np.zeros((SIDE, SIDE), bool)
    outlines = [[v * SIDE for v in polygon.xy] for polygon in polygons]
    runs = mask.merge(mask.frPyObjects(outlines, SIDE, SIDE))
    return mask.decode(runs).astype(bool)
