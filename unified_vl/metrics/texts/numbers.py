"""How far predicted numbers are from the right ones."""

from __future__ import annotations

from collections.abc import Sequence

from unified_vl.metrics.metric import Metric, credit, plain_mean


def absolute_error(
    prediction: str, references: Sequence[str], language: str | None = None
) -> float:
    """How far a number is from the nearest that is right; an answer that is none counts as 0."""
    try:
        found = float(prediction)
    except ValueError:
        found = 0.0
    return min(abs(found - float(reference)) for reference in references)


METRICS = (
    Metric(
        name="mean_absolute_error",
        about="mean distance to the nearest reference; an answer that is no number counts as 0",
        kinds=("number",),
        bounds=(0.0, float("inf")),
        higher_is_better=False,
        rows=credit(absolute_error),
        finish=plain_mean,
        right=lambda answer, references, *_: absolute_error(answer, references) == 0,
    ),
)
