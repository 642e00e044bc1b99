"""What the model itself sees in the pictures that it wrote: another task of it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.inference.inputs import input_row, is_captioning
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.score import ScoreSpec

Readings = Mapping[str, Sequence[tuple[str, ...]]]
"""By what `reading_of` gives: of each row the texts that are read in the picture, best first."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A task that reads pictures, and how many texts it shall say of each."""

    spec: TaskSpec
    top: int


def reading_of(score: ScoreSpec) -> str:
    """Which texts a score with `read_by` looks at: the task, and how many it says of a picture.

    (The first of several is not always the one that a task says alone: several are searched for.)
    """
    return f"{score.read_by}@{score.top or 1}"


def readers_of(predictor: UnifiedVL, spec: TaskSpec) -> dict[str, Reader]:
    """Who reads for a task's scores, by what `reading_of` gives.

    Raises:
        UserError: when the model has no such task, or it does not describe one image in the
            same languages.
    """
    return {
        reading_of(score): Reader(_reader(predictor, spec, index, score.read_by), score.top or 1)
        for index, score in enumerate(spec.score)
        if score.read_by is not None
    }


def read_pictures(
    predictor: UnifiedVL,
    readers: Mapping[str, Reader],
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    batch_size: int,
) -> Readings:
    """What each of these says of the predicted pictures, in the languages of their rows."""
    return {
        name: _read(predictor, reader, examples, predictions, batch_size)
        for name, reader in readers.items()
    }


def _reader(predictor: UnifiedVL, spec: TaskSpec, index: int, name: str) -> TaskSpec:
    place = ("score", index, "read_by")
    try:
        reader = predictor.spec(name)
    except UserError as error:
        raise spec.error(
            place, error.message, expected=error.expected, nearest=error.nearest
        ) from error
    if not is_captioning(reader):
        raise spec.error(
            place,
            f"the task {name!r} does not describe an image",
            expected="a task whose source is an image and whose target is a text",
        )
    missing = [tag for tag in spec.data.languages if reader.data.tag_of(tag) is None]
    if missing:
        raise spec.error(
            place,
            f"the task {name!r} does not have the language {missing[0]!r}",
            expected="a task with all languages of this one",
        )
    return reader


def _read(
    predictor: UnifiedVL,
    reader: Reader,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    batch_size: int,
) -> list[tuple[str, ...]]:
    spec = reader.spec
    assert spec.image_field is not None
    builder = predictor.builder(spec, root=None)
    rows = (
        input_row(spec, {spec.image_field: found.images[0]}, example.language, file=example.where)
        for example, found in zip(examples, predictions, strict=True)
    )
    asked = (builder.build(row, seed=None, with_target=False) for row in rows)
    answers = predictor.predict_examples(spec, asked, batch_size, n=reader.top)
    return [tuple(one.text or "" for one in answer.alternatives or (answer,)) for answer in answers]
