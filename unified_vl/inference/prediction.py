"""What a model answers to one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL.Image import Image

from unified_vl.codecs.segments import Segment


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of several answers to an input; the attributes are those of `Prediction`."""

    text: str
    boxes: list[list[float]] | None
    score: float
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    shapes: Mapping[str, list[Any]] = field(default_factory=dict)
    images: tuple[Image, ...] = field(default=(), repr=False)

    def as_row(self) -> dict[str, Any]:
        row = {"prediction": self.text, "boxes": self.boxes, "score": self.score}
        return row | dict(self.shapes)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer.

    Attributes:
        key: of the row it answers.
        text: what the model wrote, without boxes.
        boxes: `[x1, y1, x2, y2]` each, in pixels of the user's image; None where the
            task has none.
        score: mean log-probability of the tokens; 0 is certain. (Of a task that ranks its
            choices with `normalize: none`: their sum.)
        error: why there is no answer.
        segments: the answer piece by piece, shapes as fractions of the image.
        shapes: what else the task writes: `labels` of the boxes, `points` (`[x, y]` each),
            `polygons` (`[x, y, x, y, ...]` each), in pixels of the user's image.
        images: the pictures that the task writes, RGB, at the size of the model's images in
            codes.
        alternatives: the best answers, this one first; None unless several were asked for.
    """

    key: str | None
    text: str | None
    boxes: list[list[float]] | None
    score: float | None
    error: str | None = None
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    shapes: Mapping[str, list[Any]] = field(default_factory=dict)
    images: tuple[Image, ...] = field(default=(), repr=False)
    alternatives: tuple[Alternative, ...] | None = None

    def as_row(self) -> dict[str, Any]:
        """The row of an output file; other shapes than boxes only where the task has them,
        `alternatives` only where they were asked for."""
        row: dict[str, Any] = {
            "key": self.key,
            "prediction": self.text,
            "boxes": self.boxes,
            "score": self.score,
            "error": self.error,
        }
        row |= dict(self.shapes)
        if self.alternatives is not None:
            row["alternatives"] = [other.as_row() for other in self.alternatives]
        return row
