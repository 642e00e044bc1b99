"""All choices of a row in the order that the model gives them, and what people make of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.data.example import Example
from unified_vl.data.rows.row import Row
from unified_vl.errors import UserError
from unified_vl.inference.prediction import Prediction
from unified_vl.kinds.hooks.options import written_options
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.score import ScoreSpec


def asked_to_rank(spec: TaskSpec) -> dict[str, int]:
    """What `predict_examples` is told where a score compares all choices."""
    ranks = any(score.definition.ranks for score in spec.score)
    return {"n": max(len(spec.choices), 2)} if ranks else {}


def ranking_of(prediction: Prediction) -> tuple[str, ...]:
    """The texts of all choices, the best first."""
    return tuple(each.text or "" for each in prediction.alternatives or (prediction,))


def of_row(
    spec: TaskSpec, score: ScoreSpec, ranking: tuple[str, ...], row: Row, example: Example
) -> tuple[str, ...]:
    """The ranking without what is no choice of this row."""
    own = _choices(spec, score, row, example.language)
    return tuple(text for text in ranking if text in own)


def relevances_of(spec: TaskSpec, score: ScoreSpec, row: Row) -> Mapping[str, float] | None:
    """How fitting each choice of a row is; None where no one says.

    Raises:
        UserError: when there are more or fewer numbers than choices.
    """
    if score.relevance is None or (numbers := row.columns.get(score.relevance)) is None:
        return None
    language = row.language or spec.data.languages[0]
    choices = _choices(spec, score, row, language)
    values: list[Any] = list(numbers) if isinstance(numbers, list | tuple) else [numbers]
    if len(values) != len(choices) or not all(isinstance(v, int | float) for v in values):
        raise UserError(
            f"found {len(values)} values for {len(choices)} choices",
            file=row.where,
            field=score.relevance,
            expected="a number for each choice",
        )
    return dict(zip(choices, map(float, values), strict=True))


def _choices(spec: TaskSpec, score: ScoreSpec, row: Row, language: str) -> dict[str, None]:
    """What may be written for a row, in the order of its choices."""
    field = spec.fields.get(score.against)
    if field is None or field.of is None:
        return dict.fromkeys(spec.choices)
    options = row.columns[spec.fields[field.of].column_in(language)]
    return dict.fromkeys(written_options(options, field.write))
