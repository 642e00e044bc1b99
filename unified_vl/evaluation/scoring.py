"""What a task's answers score: in all, with intervals, and by what its spec reports by."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.example import Example
from unified_vl.data.rows.row import Row
from unified_vl.evaluation.metric_names import parts_of
from unified_vl.evaluation.rankings import of_row, relevances_of
from unified_vl.evaluation.readings import Readings, reading_of
from unified_vl.evaluation.rows import ScoredRows, digest
from unified_vl.inference.prediction import FLAGS, Prediction
from unified_vl.languages.tags import find
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.intervals import intervals
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.statistics import RowStatistics
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.score import ScoreSpec


@dataclass
class Scored:
    """The answers of a task so far.

    Attributes:
        partners: by another task whether its rows of the same keys are right.
        rankings: all choices of each row, the best first, where a score asks for them.
        skipped: how many rows are bad and left out.
        truncated: how many are read though an image of theirs ends early.
    """

    examples: list[Example] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    readings: Readings = field(default_factory=dict)
    partners: Mapping[str, Sequence[bool | None]] = field(default_factory=dict)
    rankings: list[tuple[str, ...]] = field(default_factory=list)
    skipped: int = 0
    truncated: int = 0


def score_task(
    spec: TaskSpec, scored: Scored, measured: Mapping[str, Measured], resamples: int
) -> dict[str, Any]:
    """The scores of a task as its part of the report."""
    everything = range(len(scored.predictions))
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, example in enumerate(scored.examples):
        for dimension, value in dimensions(example).items():
            groups[dimension][value].append(index)
    of_rows = {
        label: m
        for label, m in measured.items()
        if isinstance(m, RowStatistics) and _counts(label, m, everything)
    }
    return {
        "count": len(scored.predictions),
        "skipped": scored.skipped,
        **({"truncated": scored.truncated} if scored.truncated else {}),
        **_counted(measured),
        **_failed(scored, groups),
        "primary": label_of(spec, spec.primary),
        "metrics": score_rows(measured, everything),
        "flags": _flags(scored, everything),
        "intervals": intervals(of_rows, resamples) if resamples else {},
        "by": {
            dimension: {
                value: {"count": len(indices), **score_rows(measured, indices)}
                for value, indices in sorted(values.items())
            }
            for dimension, values in groups.items()
        },
        "flags_by": {
            dimension: {value: _flags(scored, indices) for value, indices in sorted(values.items())}
            for dimension, values in groups.items()
        },
    }


def _counted(measured: Mapping[str, Measured]) -> dict[str, dict[str, int]]:
    """Of how many rows scores are that not all rows count for, where there are such scores."""
    counts = {
        label: int(each.values_NK[:, -1].sum())
        for label, each in measured.items()
        if isinstance(each, RowStatistics) and METRICS[parts_of(label)[0]].only
    }
    return {"counts": counts} if counts else {}


def _failed(scored: Scored, groups: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """How many answers of another model are none by the task's grammar, where any is."""
    failed = {i for i, found in enumerate(scored.predictions) if found.error is not None}
    if not failed:
        return {}
    return {
        "failed": len(failed),
        "failed_by": {
            dimension: {
                value: len(failed.intersection(rows))
                for value, rows in sorted(values.items())
                if failed.intersection(rows)
            }
            for dimension, values in groups.items()
        },
    }


def notes_of(report: Mapping[str, Any]) -> Iterator[str]:
    """Which scores are of some rows only, or of none, and what no task was perturbed by, a line
    each."""
    for name, task in report["tasks"].items():
        for metric in task.get("left_out", ()):
            yield f"{name}: {metric} is left out: it needs what this model does not give"
        for label, count in task.get("counts", {}).items():
            if count < task["count"]:
                only = METRICS[parts_of(label)[0]].only
                yield f"{name}: {label} is of {count} of {task['count']} rows: those {only}"
        for why, names in task.get("not_perturbed", {}).items():
            yield f"{name} is scored without {', '.join(names)}: {why}"


def _flags(scored: Scored, rows: Sequence[int]) -> dict[str, float]:
    """Of how many rows in a hundred the answer has each flag."""
    counts = {flag: sum(getattr(scored.predictions[i], flag) for i in rows) for flag in FLAGS}
    return {flag: round(100 * count / max(len(rows), 1), 4) for flag, count in counts.items()}


def dimensions(example: Example) -> dict[str, str]:
    """What an example's score is broken down by."""
    return {"language": example.language, **example.groups}


@dataclass(frozen=True)
class _Whole:
    """A metric that needs the answers themselves, not only statistics of each row."""

    metric: Metric
    answers: Answers

    def score(self, rows: Sequence[int]) -> float:
        return self.metric.score(self.answers.of(rows))


Measured = RowStatistics | _Whole


def measure(spec: TaskSpec, scored: Scored) -> dict[str, Measured]:
    """What every score of a spec needs to know of the rows."""
    measured: dict[str, Measured] = {}
    for score in spec.score:
        answers = _answers(spec, score, scored)
        metric = score.definition
        found: Measured
        if metric.rows is None:
            found = _Whole(metric, answers)
        else:
            found = metric.measure(answers)
            if score.mean_over is not None:
                groups_N = _languages(scored.examples, score.without or ())
                found = replace(found, groups_N=groups_N, alike=True)
        measured[label_of(spec, score)] = found
    return measured


def _languages(examples: Sequence[Example], without: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number for the language of each example, -1 for those that are left out, (N,)."""
    tags = [example.language for example in examples]
    left = [find(tag, tags) for tag in without]
    number = {tag: place for place, tag in enumerate(dict.fromkeys(tags))}
    return np.asarray([-1 if tag in left else number[tag] for tag in tags], np.int64)


def primary_score(
    spec: TaskSpec, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> float:
    """The task's primary metric over rows that are answered already."""
    answers = _answers(spec, spec.primary, Scored(list(examples), list(predictions)))
    return spec.primary.definition.score(answers)


def _answers(spec: TaskSpec, score: ScoreSpec, scored: Scored) -> Answers:
    predictions: Sequence[Any] = [score.definition.answer(found) for found in scored.predictions]
    if score.read_by is not None:
        predictions = scored.readings[reading_of(score)]
    if score.definition.ranks:
        ranked = zip(scored.rankings, scored.rows, scored.examples, strict=True)
        predictions = [of_row(spec, score, *one) for one in ranked]
    return Answers(
        predictions,
        [references_of(score, example) for example in scored.examples],
        [example.language for example in scored.examples],
        score.threshold,
        [example.key for example in scored.examples],
        [row.columns.get(score.implies or "") or () for row in scored.rows],
        [str(row.columns.get(score.group or "")) for row in scored.rows],
        score.top or 1,
        score.positive or "",
        scored.partners.get(score.with_ or "", [None] * len(scored.examples)),
        [relevances_of(spec, score, row) for row in scored.rows],
        {
            key: [row.columns.get(column) for row in scored.rows]
            for key, column in score.columns.items()
        },
        _images(spec, scored) if "keypoint" in score.definition.options else (),
    )


def _images(spec: TaskSpec, scored: Scored) -> list[tuple[str, tuple[int, int]]]:
    """What tells the image of each row from others, and its size."""
    rows = zip(scored.rows, scored.examples, strict=True)
    return [(image_of(spec, row), example.image_size or (1, 1)) for row, example in rows]


def image_of(spec: TaskSpec, row: Row) -> str:
    """What tells the image of a row from others: its path, or else a digest of it."""
    if spec.image_field is None:
        return row.where
    value = row.columns[spec.fields[spec.image_field].column_in(row.language or "")]
    path = value.get("path") if isinstance(value, Mapping) else value
    if isinstance(path, str):
        return path
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


def score_rows(measured: Mapping[str, Measured], rows: Sequence[int]) -> dict[str, float]:
    """The scores of some rows; none of what leaves out all of them."""
    return {
        label: round(each.score(rows), 4)
        for label, each in measured.items()
        if not isinstance(each, RowStatistics) or _counts(label, each, rows)
    }


def _counts(label: str, each: RowStatistics, rows: Sequence[int]) -> bool:
    """Whether any of these rows counts."""
    chosen = list(rows)
    some = (each.groups_N[chosen] >= 0).any()
    if METRICS[parts_of(label)[0]].only:
        some = some and each.values_NK[chosen, -1].any()
    return bool(some)


def rows_of(spec: TaskSpec, scored: Scored, measured: Mapping[str, Measured]) -> ScoredRows:
    """What a comparison with another report needs to know of every row."""
    return ScoredRows(
        metrics={label_of(spec, score): score.metric for score in spec.score},
        keys=[example.key for example in scored.examples],
        references=[digest(example.references) for example in scored.examples],
        measured={
            n: m
            for n, m in measured.items()
            if isinstance(m, RowStatistics) and _counts(n, m, range(len(scored.examples)))
        },
    )


def label_of(spec: TaskSpec, score: ScoreSpec) -> str:
    """The metric's name; with its field and threshold where the spec has it twice, with the task
    that reads and how many texts count where there is one."""
    if score.read_by is not None:
        several = len({other.against for other in spec.score if other.read_by is not None}) > 1
        field = f"{score.against}:" if several else ""
        return f"{score.metric}:{field}{reading_of(score)}"
    if score.with_ is not None:
        return f"{score.metric}:{score.with_}"
    if "top" in score.definition.options:
        return f"{score.metric}@{score.top or 1}"
    if score.mean_over is not None:
        without = "".join(f"_without_{tag}" for tag in score.without or ())
        return f"{score.metric}:mean_over_{score.mean_over}{without}"
    if sum(s.metric == score.metric and s.mean_over is None for s in spec.score) == 1:
        return score.metric
    thresholded = score.definition.options & {"iou", "within"}
    threshold = f"@{score.threshold:g}" if thresholded else ""
    return f"{score.metric}:{score.against}{threshold}"


def references_of(score: ScoreSpec, example: Example) -> Sequence[Any]:
    """The right answers as a metric compares them; images as arrays."""
    found = example.references[score.against]
    return [r.pixels_HWC if isinstance(r, LoadedImage) else r for r in found]
