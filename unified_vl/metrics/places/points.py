"""How well predicted points fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unified_vl.geometry import Box, Point, Shape
from unified_vl.metrics.answers import Answers, first_point
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats, per_row

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


def _rows(answers: Answers) -> Floats:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return per_row([point_fits(p, r, answers.threshold) for p, r in pairs])


METRICS = (
    Metric(
        name="point_accuracy",
        about="rows whose first point is within `within` of a reference (0.05 of the image's "
        "diagonal), or inside a reference that is a box",
        kinds=("point", "box"),
        unit="%",
        rows=_rows,
        answer=first_point,
        right=lambda answer, references, within, _: point_fits(answer, references, within),
        options=frozenset({"within"}),
        threshold=0.05,
    ),
)
