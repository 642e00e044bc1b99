"""Score a model on its tasks, as their specs say, and keep every answer."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unified_vl.codecs.boxes import box_to_pixels
from unified_vl.codecs.segments import Box
from unified_vl.data.choices import learn_choices
from unified_vl.data.examples import Example
from unified_vl.data.sources import Row, TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.evaluation.metrics.table import METRICS, Answers, is_correct
from unified_vl.inference.predictor import Prediction, UnifiedVL, source_fields
from unified_vl.specs.task import ScoreSpec, SplitName, TaskSpec
from unified_vl.specs.template import fill

READ_AT_ONCE = 512  # rows; bounds what is held in memory
LIMIT_SEED = 0

Progress = Callable[[str, int, int], None]
"""Called as (task, rows done, rows in total)."""


@dataclass
class _Scored:
    """The answers of a task so far."""

    examples: list[Example] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: int = 0


def evaluate(
    predictor: UnifiedVL,
    specs: Sequence[TaskSpec],
    split: SplitName,
    data_root: Path,
    *,
    model_name: str,
    batch_size: int = 128,
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Answer a split of every task and score the answers.

    Args:
        predictor: the model.
        specs: the tasks.
        split: `train`, `validation` or `test`.
        data_root: the folder that the specs' paths are relative to.
        model_name: how the report calls the model.
        batch_size: rows that the model reads at once.
        limit: at most so many rows of each task, a fixed random choice.
        progress: told what is done.

    Returns:
        The report and the rows of the predictions file:

        report: `{"model", "version", "seconds", "tasks": {NAME: {"split", "count",
        "skipped", "seconds", "primary", "metrics": {METRIC: value}, "by": {DIMENSION:
        {VALUE: {"count", METRIC: value}}}}}}`; values are 0 to 100; dimensions are
        `language` and the spec's `report_by`.

        prediction: `{"key", "task", the dimensions, "inputs", "input_languages", "image",
        "image_size", "prediction", "references", "boxes", "score", "correct"}`; boxes, and
        references that are boxes, in pixels of the image; `boxes` null where the task has none.

    Raises:
        UserError: when data are missing, or a row is bad and its spec says `stop`.
    """
    started = time.perf_counter()
    tasks: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for spec in specs:
        begun = time.perf_counter()
        scored = _answer(predictor, spec, split, data_root, batch_size, limit, progress)
        tasks[spec.task] = {
            "split": split,
            **_score_task(spec, scored),
            "seconds": round(time.perf_counter() - begun, 3),
        }
        rows += _prediction_rows(spec, scored)
    report = {
        "model": model_name,
        "version": version("unified_vl"),
        "seconds": round(time.perf_counter() - started, 3),
        "tasks": tasks,
    }
    return report, rows


def _answer(
    predictor: UnifiedVL,
    spec: TaskSpec,
    split: SplitName,
    data_root: Path,
    batch_size: int,
    limit: int | None,
    progress: Progress | None,
) -> _Scored:
    data = TaskData(spec, split, data_root)
    learn_choices(spec, data_root)
    indices = chosen_rows(len(data), limit)
    scored = _Scored()
    examples = _examples(predictor, spec, data, indices, data_root, scored)
    for prediction in predictor.predict_examples(spec, examples, batch_size):
        scored.predictions.append(prediction)
        if progress:
            progress(spec.task, len(scored.predictions) + scored.skipped, len(indices))
    if progress and scored.skipped:  # the last rows may have been bad
        progress(spec.task, len(indices), len(indices))
    if not scored.predictions:
        raise UserError(
            f"the task {spec.task!r} has no row of the split {split!r} to score"
            + (f": all {scored.skipped} are bad" if scored.skipped else ""),
            file=spec.file,
            field="data",
        )
    return scored


def primary_score(
    spec: TaskSpec, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> float:
    """The task's primary metric over rows that are answered already, 0 to 100."""
    scored = _Scored(examples=list(examples), predictions=list(predictions))
    return _score_one(spec.primary, scored, range(len(scored.predictions)))


def chosen_rows(count: int, limit: int | None) -> list[int]:
    """Indices to score. Chosen at random: rows of a file often follow a rhythm."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(random.Random(LIMIT_SEED).sample(range(count), limit))


def _examples(
    predictor: UnifiedVL,
    spec: TaskSpec,
    data: TaskData,
    indices: Sequence[int],
    data_root: Path,
    scored: _Scored,
) -> Iterator[Example]:
    """Examples in order; `scored` gets their rows and the number of bad ones."""
    builder = predictor.builder(spec, data_root)
    for start in range(0, len(indices), READ_AT_ONCE):
        for row in data.rows(indices[start : start + READ_AT_ONCE]):
            try:
                example = builder.build(row, seed=None)
            except BadRow:
                if spec.data.on_bad_row == "stop":
                    raise
                scored.skipped += 1
                continue
            scored.rows.append(row)
            # A split's images may not fit into memory; scores need the answers alone.
            scored.examples.append(replace(example, source=(), target=()))
            yield example


def _score_task(spec: TaskSpec, scored: _Scored) -> dict[str, Any]:
    everything = range(len(scored.predictions))
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, example in enumerate(scored.examples):
        for dimension, value in dimensions(example).items():
            groups[dimension][value].append(index)
    return {
        "count": len(scored.predictions),
        "skipped": scored.skipped,
        "primary": _label(spec, spec.primary),
        "metrics": _score(spec, scored, everything),
        "by": {
            dimension: {
                value: {"count": len(indices), **_score(spec, scored, indices)}
                for value, indices in sorted(values.items())
            }
            for dimension, values in groups.items()
        },
    }


def dimensions(example: Example) -> dict[str, str]:
    """What an example's score is broken down by."""
    return {"language": example.language, **example.groups}


def _score(spec: TaskSpec, scored: _Scored, indices: Sequence[int]) -> dict[str, float]:
    return {
        _label(spec, score): round(_score_one(score, scored, indices), 4) for score in spec.score
    }


def _score_one(score: ScoreSpec, scored: _Scored, indices: Sequence[int]) -> float:
    answers = Answers(
        [_answer_of(score, scored.predictions[i]) for i in indices],
        [scored.examples[i].references[score.against] for i in indices],
        [scored.examples[i].language for i in indices],
        score.threshold,
    )
    return METRICS[score.metric].score(answers)


def _label(spec: TaskSpec, score: ScoreSpec) -> str:
    """The metric's name; with its field and threshold where the spec has it twice."""
    if sum(other.metric == score.metric for other in spec.score) == 1:
        return score.metric
    threshold = f"@{score.threshold:g}" if score.metric == "box_accuracy" else ""
    return f"{score.metric}:{score.against}{threshold}"


def _answer_of(score: ScoreSpec, prediction: Prediction) -> str | Box | None:
    """The value that a metric compares: the text, or the first box."""
    if METRICS[score.metric].of == "text":
        return prediction.text or ""
    return next((s for s in prediction.segments if isinstance(s, Box)), None)


def _prediction_rows(spec: TaskSpec, scored: _Scored) -> list[dict[str, Any]]:
    primary = spec.primary
    rows = []
    for row, example, found in zip(scored.rows, scored.examples, scored.predictions, strict=True):
        references = example.references[primary.against]
        answer = _answer_of(primary, found)
        rows.append(
            {
                "key": example.key,
                "task": spec.task,
                **dimensions(example),
                "inputs": _inputs(spec, row, example.language, ("text", "box")),
                "input_languages": _inputs(spec, row, example.language, ("language",)),
                "image": _image_path(spec, row, example.language),
                "image_size": example.image_size,
                "prediction": found.text,
                "references": [_reference(r, example.image_size) for r in references],
                "boxes": found.boxes,
                "score": found.score,
                "correct": is_correct(primary.metric, answer, references, primary.threshold),
            }
        )
    return rows


def _reference(value: str | Box, image_size: tuple[int, int] | None) -> str | list[float]:
    return value if isinstance(value, str) else box_to_pixels(value, *(image_size or (1, 1)))


def _inputs(spec: TaskSpec, row: Row, language: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """What the model read of some kinds of fields, by field."""
    return {
        name: str(row.columns[fill(spec.fields[name].column, language=language)])
        for name in source_fields(spec)
        if spec.fields[name].kind in kinds
    }


def _image_path(spec: TaskSpec, row: Row, language: str) -> str | None:
    if spec.image_field is None:
        return None
    value = row.columns[fill(spec.fields[spec.image_field].column, language=language)]
    if isinstance(value, Mapping):
        value = value.get("path")
    return value if isinstance(value, str) else None
