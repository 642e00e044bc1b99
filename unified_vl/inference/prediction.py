"""What a model answers to one input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unified_vl.codecs.segments import Segment


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of several answers to an input; the attributes are those of `Prediction`."""

    text: str
    boxes: list[list[float]] | None
    score: float
    segments: tuple[Segment, ...] = field(default=(), repr=False)

    def as_row(self) -> dict[str, Any]:
        return {"prediction": self.text, "boxes": self.boxes, "score": self.score}


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
        segments: the answer piece by piece, boxes as fractions of the image.
        alternatives: the best answers, this one first; None unless several were asked for.
    """

    key: str | None
    text: str | None
    boxes: list[list[float]] | None
    score: float | None
    error: str | None = None
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    alternatives: tuple[Alternative, ...] | None = None

    def as_row(self) -> dict[str, Any]:
        """The row of an output file; `alternatives` only where they were asked for."""
        row: dict[str, Any] = {
            "key": self.key,
            "prediction": self.text,
            "boxes": self.boxes,
            "score": self.score,
            "error": self.error,
        }
        if self.alternatives is not None:
            row["alternatives"] = [other.as_row() for other in self.alternatives]
        return row
