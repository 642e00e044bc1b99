"""Whether one row counts as right, by its task's metric: what lists of mistakes go by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unified_vl.geometry import Box
from unified_vl.metrics import boxes, detection, pictures, shapes, text
from unified_vl.metrics.table import METRICS, Answers, Metric, mask_iou

HALF_MARKS = 0.5  # from which an answer with marks counts as right
OF_CLASSES = frozenset({"macro_f1", "binary_f1", "matthews_correlation"})
MARKS = frozenset({"exact_match", "accuracy", "vqa_accuracy", "anls", "f1"})


def is_correct(
    metric: str,
    prediction: Any,
    references: Sequence[Any],
    threshold: float = 0.5,
    language: str | None = None,
) -> bool:
    """Whether one row counts as right.

    A box does from `threshold` on, a point up to it, outlines and masks from half on, other
    pictures from 20 dB on; all boxes do when each meets a reference of its own and none is
    left. A number does when it is the same, a text when it equals a reference (case is ignored
    under `accuracy` and for classes) or, under the metrics that give marks to an answer, when it
    has half of them.
    """
    if metric == "coco_map":
        return detection.all_found([d.box for d in prediction], references, threshold)
    if metric in ("box_accuracy", "mean_iou"):
        found = prediction if isinstance(prediction, Box) else None
        return boxes.best_iou(found, references) >= threshold
    if metric == "point_accuracy":
        return shapes.point_fits(prediction, references, threshold)
    if metric == "mask_iou":
        return mask_iou(prediction, references) >= HALF_MARKS
    if isinstance(prediction, np.ndarray):
        return bool(pictures.psnr_rows([prediction], references)[0, 0] >= pictures.RIGHT_PSNR)
    if metric == "mean_absolute_error":
        return text.absolute_error(prediction, references) == 0
    if not isinstance(prediction, str):
        return False
    if metric in OF_CLASSES:
        return text.matches_in_any_case(prediction, references, language)
    scored = METRICS[metric]
    if metric in MARKS and isinstance(scored, Metric):
        answers = Answers([prediction], [references], [language])
        return bool(scored.rows(answers)[0, 0] >= HALF_MARKS)
    return text.matches(prediction, references)
