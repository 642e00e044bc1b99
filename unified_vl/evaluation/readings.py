"""What the model itself sees in the pictures that it wrote: another task of it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.inference.inputs import input_row, source_fields, target_fields
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.task import TaskSpec

Readings = Mapping[str, Sequence[tuple[str, ...]]]
"""By task: of each row the texts that it reads in the picture, the best first."""


def read_pictures(
    predictor: UnifiedVL,
    spec: TaskSpec,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    batch_size: int,
) -> dict[str, list[tuple[str, ...]]]:
    """What each task that `read_by` of a score names says of the predicted pictures.

    Raises:
        UserError: when the model has no such task, or it does not describe one image.
    """
    wanted: dict[str, int] = {}
    for score in spec.score:
        if score.read_by is not None:
            wanted[score.read_by] = max(wanted.get(score.read_by, 1), score.top or 1)
    found = {}
    for index, score in enumerate(spec.score):
        if score.read_by is not None and score.read_by not in found:
            reader = _reader(predictor, spec, index, score.read_by)
            most = wanted[score.read_by]
            found[score.read_by] = _read(predictor, reader, examples, predictions, batch_size, most)
    return found


def _reader(predictor: UnifiedVL, spec: TaskSpec, index: int, name: str) -> TaskSpec:
    place = ("score", index, "read_by")
    try:
        reader = predictor.spec(name)
    except UserError as error:
        raise spec.error(
            place, error.message, expected=error.expected, nearest=error.nearest
        ) from error
    kinds = [reader.fields[field].kind for field in source_fields(reader)]
    written = [reader.fields[field].kind for field in target_fields(reader)]
    if kinds != ["image"] or written != ["text"]:
        raise spec.error(
            place,
            f"the task {name!r} does not describe an image",
            expected="a task whose source is an image and whose target is a text",
        )
    return reader


def _read(
    predictor: UnifiedVL,
    reader: TaskSpec,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    batch_size: int,
    most: int,
) -> list[tuple[str, ...]]:
    assert reader.image_field is not None
    builder = predictor.builder(reader, root=None)
    asked = []
    for example, prediction in zip(examples, predictions, strict=True):
        image = {reader.image_field: prediction.images[0]}
        row = input_row(reader, image, example.language, file=example.where)
        asked.append(builder.build(row, seed=None, with_target=False))
    answers = predictor.predict_examples(reader, asked, batch_size, n=most)
    return [tuple(one.text or "" for one in answer.alternatives or (answer,)) for answer in answers]
