"""How well a predicted box fits."""

from __future__ import annotations

from collections.abc import Sequence

from unified_vl.geometry import Box


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
