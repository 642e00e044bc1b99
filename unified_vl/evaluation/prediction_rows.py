"""The rows of a file of predictions: what was read, what is right, what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.example import Example
from unified_vl.data.rows.row import Row
from unified_vl.evaluation.scoring import (
    Scored,
    dimensions,
    references_of,
)
from unified_vl.geometry import Shape, to_pixels
from unified_vl.inference.inputs import source_fields
from unified_vl.inference.prediction import FLAGS, Prediction
from unified_vl.kinds.registry import kind_of_place, names_where
from unified_vl.specs.task import TaskSpec


def prediction_rows(spec: TaskSpec, scored: Scored) -> list[dict[str, Any]]:
    """A row of JSON for each row of a task that was answered, in their order."""
    primary = spec.primary
    asked = names_where(lambda kind: kind.asks)
    languages = names_where(lambda kind: kind.names_language)
    rows = []
    answered = zip(scored.rows, scored.examples, scored.predictions, strict=True)
    for place, (row, example, found) in enumerate(answered):
        references = references_of(primary, example)
        answer = primary.definition.answer(found)
        rows.append(
            {
                "key": example.key,
                "task": spec.task,
                **dimensions(example),
                "inputs": _inputs(spec, row, example.language, asked) | _read(example),
                "input_languages": _inputs(spec, row, example.language, languages),
                "image": _image_path(spec, row, example),
                **_several_images(spec, row, example),
                "image_size": example.image_size,
                "prediction": found.text,
                "references": _references(spec, row, example),
                **_reference_labels(references),
                "boxes": None,
                **found.shapes,
                "score": found.score,
                **{flag: getattr(found, flag) for flag in FLAGS},
                "correct": primary.definition.is_right(
                    answer, references, primary.threshold, example.language
                ),
                **_readings(scored, place),
                **_exchange(found),
            }
        )
    return rows


def _exchange(found: Prediction) -> dict[str, str | None]:
    """The prompt, the answer as it came, and why it is none, of another model."""
    if found.exchange is None:
        return {} if found.error is None else {"error": found.error}
    return {"asked": found.exchange.asked, "said": found.exchange.said, "error": found.error}


def _readings(scored: Scored, place: int) -> dict[str, dict[str, tuple[str, ...]]]:
    """What was read in a row's picture, where it was read."""
    found = {reading: texts[place] for reading, texts in scored.readings.items()}
    return {"readings": found} if found else {}


def _references(spec: TaskSpec, row: Row, example: Example) -> list[Any]:
    """The right answers of the primary score: texts, pixels of shapes, paths of images."""
    name = spec.primary.against
    found: list[Any] = []
    for value in example.references[name]:
        match value:
            case str():
                found.append(value)
            case LoadedImage():
                found.append(_path_of(spec, row, name, example.language))
            case _:
                found.append(to_pixels(value, *(example.image_size or (1, 1))))
    return found


def _reference_labels(references: Sequence[Any]) -> dict[str, list[str | None]]:
    """What the right boxes are called, where they have labels."""
    places = [each for each in references if isinstance(each, Shape)]
    labels = [kind_of_place(place).label_of(place) for place in places]
    return {"reference_labels": labels} if any(labels) else {}


def _inputs(spec: TaskSpec, row: Row, language: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """What the model read of some kinds of fields, by field."""
    return {
        name: str(value)
        for name in source_fields(spec)
        if spec.fields[name].kind in kinds
        and (value := row.columns[spec.fields[name].column_in(language)]) is not None
    }


def _read(example: Example) -> dict[str, str]:
    """What of the row was noised, or taken from another one, as the model read it."""
    return {name: text for name, text in example.read.items() if text}


def _image_path(spec: TaskSpec, row: Row, example: Example) -> str | None:
    name = spec.image_field
    if name is None or name in example.read:
        return None
    return _path_of(spec, row, name, example.language)


def _several_images(spec: TaskSpec, row: Row, example: Example) -> dict[str, list[str]]:
    """The paths of all images that the model read, where they are more than one."""
    paths: list[str] = []
    for name in spec.fields_of(spec.source):
        if spec.fields[name].of_kind.is_input_image and name not in example.read:
            value = row.columns[spec.fields[name].column_in(example.language)]
            each = value if isinstance(value, list) else [value]
            paths += [path for one in each if (path := _path(row.image(one))) is not None]
    return {"several_images": paths} if len(paths) > 1 else {}


def _path_of(spec: TaskSpec, row: Row, name: str, language: str) -> str | None:
    """The path of an image field, where the row has one."""
    return _path(row.image(row.columns[spec.fields[name].column_in(language)]))


def _path(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("path")
    return value if isinstance(value, str) else None
