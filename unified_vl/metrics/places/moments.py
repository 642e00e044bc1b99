"""How well a predicted moment of a video fits: R@1 at an IoU, and mean IoU, over time (Gao et al.,
"TALL: Temporal Activity Localization via Language Query", arXiv 1705.02101, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from unified_vl.geometry import Moment
from unified_vl.metrics.answers import Answers, Predicted
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats, per_row


def temporal_iou(a: Moment, b: Moment) -> float:
    """The time that both share over the time that either takes."""
    shared = max(min(a.end, b.end) - max(a.start, b.start), 0.0)
    union = (a.end - a.start) + (b.end - b.start) - shared
    return shared / union if union > 0 else 0.0


def best_overlap(answer: Moment | None, references: Sequence[Moment]) -> float:
    """The largest IoU with any reference; of nothing with nothing 1, with something 0."""
    if answer is None:
        return float(not references)
    return max((temporal_iou(answer, right) for right in references), default=0.0)


def first_moment(prediction: Predicted) -> Moment | None:
    """The first moment of an answer, where it has one."""
    return next((each for each in prediction.segments if isinstance(each, Moment)), None)


def _overlaps(answers: Answers) -> list[float]:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return [best_overlap(found, right) for found, right in pairs]


def _found(answers: Answers) -> Floats:
    return per_row([overlap >= answers.threshold for overlap in _overlaps(answers)])


def _right(
    answer: Moment | None, references: Sequence[Moment], threshold: float, _: str | None
) -> bool:
    return best_overlap(answer, references) >= threshold


METRICS = (
    Metric(
        name="moment_accuracy",
        label="R@1",
        about="rows whose first moment has a temporal IoU of `iou` (0.5) or more with any "
        "reference (R@1)",
        kinds=("moment",),
        unit="%",
        rows=_found,
        answer=first_moment,
        right=_right,
        options=frozenset({"iou"}),
    ),
    Metric(
        name="moment_iou",
        label="mean temporal IoU",
        about="mean of the best temporal IoU of the first moment (mIoU)",
        kinds=("moment",),
        unit="%",
        rows=lambda answers: per_row(_overlaps(answers)),
        answer=first_moment,
        right=_right,
    ),
)
