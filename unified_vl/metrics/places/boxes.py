"""How well a predicted box fits."""

from __future__ import annotations

from collections.abc import Sequence

from unified_vl.geometry import Box
from unified_vl.metrics.answers import Answers, first_box
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats, per_row


def area(box: Box) -> float:
    """Of the whole image, 0 to 1."""
    return max(box.x2 - box.x1, 0.0) * max(box.y2 - box.y1, 0.0)


def iou(a: Box, b: Box) -> float:
    """Area of the intersection over area of the union; 0 for two empty boxes."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = max(width, 0.0) * max(height, 0.0)
    union = area(a) + area(b) - shared
    return shared / union if union > 0 else 0.0


def best_iou(prediction: Box | None, references: Sequence[Box]) -> float:
    """The largest overlap with any reference; of nothing with nothing 1, with something 0."""
    if prediction is None:
        return float(not references)
    return max((iou(prediction, reference) for reference in references), default=0.0)


def _overlaps(answers: Answers) -> list[float]:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return [best_iou(found, right) for found, right in pairs]


def _found(answers: Answers) -> Floats:
    return per_row([overlap >= answers.threshold for overlap in _overlaps(answers)])


def _right(answer: Box | None, references: Sequence[Box], threshold: float, _: str | None) -> bool:
    return best_iou(answer, references) >= threshold


METRICS = (
    Metric(
        name="box_accuracy",
        about="rows whose first box has an IoU of `iou` (0.5) or more with any reference",
        kinds=("box",),
        unit="%",
        rows=_found,
        answer=first_box,
        right=_right,
        options=frozenset({"iou"}),
    ),
    Metric(
        name="mean_iou",
        label="mean IoU",
        about="mean of the best IoU of the first box",
        kinds=("box",),
        unit="%",
        rows=lambda answers: per_row(_overlaps(answers)),
        answer=first_box,
        right=_right,
    ),
)
