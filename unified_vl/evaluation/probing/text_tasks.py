"""What seeing has done for tasks without images: two models on the same rows of text.

The question is that of Vokenization (arXiv 2010.06775): whether a model that was trained with
images is better at text alone than one that was trained without.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.results import write_results
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.metrics.intervals import RESAMPLES
from unified_vl.specs.task import TaskSpec


def reads_text_alone(spec: TaskSpec) -> bool:
    """Whether no image or video is in a task's source or target."""
    return not any(each.of_kind.is_seen or each.in_codes for each in spec.fields.values())


def compare_on_texts(
    model: UnifiedVL,
    other: UnifiedVL,
    names: tuple[str, str],
    specs: Sequence[TaskSpec],
    data: Path,
    *,
    limit: int | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Score two models on tasks of text alone, paired by row.

    Args:
        model, other: a is the other one, b the model.
        names: of `other` and of `model`, in the table.
        specs: the tasks.
        data: the folder that their paths are relative to.
        limit: rows of each; all unless given.
        resamples: of the intervals.

    Returns:
        As `compare_reports`.

    Raises:
        UserError: for a task with images, or none.
    """
    if not specs:
        raise UserError(
            "the models share no task of text alone", expected="--task with such a spec"
        )
    for spec in specs:
        if not reads_text_alone(spec):
            raise UserError(
                f"the task {spec.task!r} has images", file=spec.file, expected="text alone"
            )
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for place, (name, each) in enumerate(zip(names, (other, model), strict=True)):
            found = evaluate(each, specs, None, data, model_name=name, limit=limit, resamples=0)
            paths.append(Path(folder) / f"{place}.json")
            write_results(found, paths[-1], None)
        return compare_reports(paths[0], paths[1], resamples)
