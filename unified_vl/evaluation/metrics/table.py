"""Every metric by the name that a task spec uses.

A new metric is one pure function beside this file and one line in `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unified_vl.codecs.segments import Box
from unified_vl.evaluation.metrics import boxes, text
from unified_vl.specs.task import TaskSpec


@dataclass(frozen=True, slots=True)
class Answers:
    """What was predicted, what was right, and in which language, row by row.

    Attributes:
        predictions: a text each, or a box or None (nothing predicted) each.
        references: the right answers of each row, at least one.
        languages: the language tag of each row, or None.
        iou: the overlap from which a box counts as found.
    """

    predictions: Sequence[Any]
    references: Sequence[Sequence[Any]]
    languages: Sequence[str | None]
    iou: float = 0.5


@dataclass(frozen=True, slots=True)
class Metric:
    """A named score.

    Attributes:
        of: the kind of value that it scores.
        score: the whole corpus to one number, 0 to 100.
        higher_is_better: the direction of the score.
    """

    of: Literal["text", "box"]
    score: Callable[[Answers], float]
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "exact_match": Metric("text", lambda a: text.exact_match(a.predictions, a.references)),
    "accuracy": Metric("text", lambda a: text.accuracy(a.predictions, a.references)),
    "bleu": Metric("text", lambda a: text.bleu(a.predictions, a.references, a.languages)),
    "chrf": Metric("text", lambda a: text.chrf(a.predictions, a.references, a.languages)),
    "box_accuracy": Metric("box", lambda a: boxes.box_accuracy(a.predictions, a.references, a.iou)),
    "mean_iou": Metric("box", lambda a: boxes.mean_iou(a.predictions, a.references)),
}


def falling_tasks(specs: Iterable[TaskSpec]) -> frozenset[str]:
    """Names of the tasks whose primary metric is better when it is lower."""
    return frozenset(
        spec.task for spec in specs if not METRICS[spec.primary.metric].higher_is_better
    )


def is_correct(
    metric: str, prediction: str | Box | None, references: Sequence[Any], iou: float = 0.5
) -> bool:
    """Whether one row counts as right.

    A box does from `iou` on. A text does when it equals a reference; case is ignored
    under `accuracy` only.
    """
    if METRICS[metric].of == "box":
        found = prediction if isinstance(prediction, Box) else None
        return boxes.best_iou(found, references) >= iou
    rule = text.normalise_case if metric == "accuracy" else text.normalise
    return isinstance(prediction, str) and text.matches(prediction, references, rule)
