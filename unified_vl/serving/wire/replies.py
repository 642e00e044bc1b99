"""Answers as what a response says: text, shapes in pixels, pictures as data URLs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image as PILImage

from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.inference.retrieval.retriever import Hit
from unified_vl.png import data_url
from unified_vl.serving.asking import Question
from unified_vl.serving.wire.pictures import drawn_at

THUMBNAIL = 256  # pixels, the longest side of a picture that was found


def reply(question: Question, found: Prediction) -> dict[str, Any]:
    """The row that a file of answers would have, without its key, and the pictures in it."""
    row = found.as_row()
    del row["key"], row["error"]
    said = {"task": question.spec.task, "language": question.example.language, **row}
    said |= _pictures(found)
    for one, other in zip(said.get("alternatives", ()), found.alternatives or (), strict=True):
        one |= _pictures(other)
    size = question.example.image_size
    if question.picture is not None and size is not None and found.shapes:
        said["drawn"] = data_url(drawn_at(question.picture, size[0], found))
    return finite(said)


def hit_row(hit: Hit, picture: PILImage.Image | None) -> dict[str, Any]:
    """What was found, by its key: where its file lies is the server's business."""
    row = hit.as_row()
    del row["path"]
    if picture is not None:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        row["picture"] = data_url(picture)
    return finite(row)


def has_pictures(question: Question, found: Prediction) -> bool:
    """Whether writing the reply takes time."""
    several: Sequence[Prediction | Alternative] = found.alternatives or (found,)
    return question.picture is not None or any(one.images for one in several)


def _pictures(found: Prediction | Alternative) -> dict[str, Any]:
    return {"images": [data_url(image) for image in found.images]} if found.images else {}


def finite(value: Any) -> Any:
    """The same value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
