"""Names of metrics and dimensions as people write them."""

from __future__ import annotations

from unified_vl.metrics.registry import METRICS

NAMES = {"easy_vqa": "easy-VQA"}  # of what is no metric


def pretty(name: str) -> str:
    """`box_accuracy` as people write it, `exact_match:emoji_caption@5` with what is behind it."""
    metric, field, number = parts_of(name)
    said = NAMES.get(metric, metric.replace("_", " "))
    if metric in METRICS:
        unit = METRICS[metric].unit
        said = METRICS[metric].label + (f" in {unit}" if unit not in ("", "%") else "")
    said += f" ({field.replace('_', ' ')})" if field else ""
    return f"{said} @{number}" if number else said


def is_percentage(label: str) -> bool:
    """Whether a score is a share of a hundred, by its label."""
    metric = METRICS.get(parts_of(label)[0])
    return metric is not None and metric.unit == "%"


def parts_of(label: str) -> tuple[str, str, str]:
    """The metric of a score's label, and the field or task and the number where it has them."""
    label, _, number = label.partition("@")
    metric, _, field = label.partition(":")
    return metric, field, number
