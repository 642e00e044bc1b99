"""What a model answers to one input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL.Image import Image

from unified_vl.codecs.segments import Segment
from unified_vl.kinds.registry import KINDS
from unified_vl.shown import facts, pictures, table

FLAGS = {  # what may be amiss with an answer, and how people are told
    "cut": "cut at max_tokens",
    "source_cut": "of a source that was cut",
    "other_script": "in another script than the language's",
}


@dataclass(frozen=True, slots=True, repr=False)
class Alternative:
    """One of several answers to an input; the attributes are those of `Prediction`."""

    text: str
    score: float
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    shapes: Mapping[str, list[Any]] = field(default_factory=dict)
    images: tuple[Image, ...] = field(default=(), repr=False)
    cut: bool = False
    other_script: bool = False

    @property
    def boxes(self) -> list[list[float]] | None:
        """Those of `shapes`: `[x1, y1, x2, y2]` each; None where the task has none."""
        return self.shapes.get("boxes")

    def __repr__(self) -> str:
        return f"<Alternative: {', '.join(_told(self))}>"

    def as_row(self) -> dict[str, Any]:
        row = {"prediction": self.text, "boxes": self.boxes, "score": self.score}
        return row | {"cut": self.cut, "other_script": self.other_script} | _others(self.shapes)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What another model was asked, where that is known, and what it said, word for word."""

    asked: str | None
    said: str


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """One answer.

    Attributes:
        key: of the row it answers.
        text: what the model wrote, without boxes.
        score: mean log-probability of the tokens; 0 is certain. (Of a task that ranks its
            choices with `normalize: none`: their sum.)
        error: why there is no answer.
        segments: the answer piece by piece, shapes as fractions of the image.
        shapes: what else the task writes, by the keys of its kinds (`Kind.row_types`): `boxes`
            (`[x1, y1, x2, y2]` each), their `labels`, `points` (`[x, y]` each), ..., in pixels of
            the user's image.
        images: the pictures that the task writes, RGB, at the size of the model's images in
            codes.
        alternatives: the best answers, this one first; None unless several were asked for.
        cut: whether `max_tokens` ended the answer before the model did.
        source_cut: whether the source was longer than the model reads, and lost text.
        other_script: whether the text holds letters that its language is not written in, and that
            no text of the source holds.
        exchange: with another model, whose answers are parsed; None with one of our own.
    """

    key: str | None
    text: str | None
    score: float | None
    error: str | None = None
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    shapes: Mapping[str, list[Any]] = field(default_factory=dict)
    images: tuple[Image, ...] = field(default=(), repr=False)
    alternatives: tuple[Alternative, ...] | None = None
    cut: bool = False
    source_cut: bool = False
    other_script: bool = False
    exchange: Exchange | None = field(default=None, repr=False)

    @property
    def boxes(self) -> list[list[float]] | None:
        """Those of `shapes`: `[x1, y1, x2, y2]` each; None where the task has none."""
        return self.shapes.get("boxes")

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Prediction: no answer: {self.error}>"
        more = [] if self.alternatives is None else [f"{len(self.alternatives)} alternatives"]
        return f"<Prediction: {', '.join([*_told(self), *more])}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the text, the shapes, the pictures and what is amiss."""
        if self.error is not None:
            return facts({"no answer": self.error})
        said: dict[str, object] = {"text": self.text, "score": _score(self.score), **self.shapes}
        amiss = [told for flag, told in FLAGS.items() if getattr(self, flag)]
        shown = facts({**said, "amiss": ", ".join(amiss)} if amiss else said)
        if self.alternatives is not None:
            others = [(one.text, _score(one.score), dict(one.shapes)) for one in self.alternatives]
            shown += table(others, ("alternative", "score", "shapes"))
        return shown + pictures(self.images)

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
        row |= {flag: getattr(self, flag) if self.error is None else None for flag in FLAGS}
        row |= _others(self.shapes)
        if self.alternatives is not None:
            row["alternatives"] = [other.as_row() for other in self.alternatives]
        return row


def _told(answer: Prediction | Alternative) -> list[str]:
    """What matters of an answer, without what it does not have."""
    parts = [repr(answer.text)]
    if answer.score is not None:
        parts.append(f"score {_score(answer.score)}")
    parts += [f"{key} {values}" for key, values in answer.shapes.items() if values]
    if answer.images:
        parts.append(f"{len(answer.images)} image{'s' * (len(answer.images) > 1)}")
    return parts + [told for flag, told in FLAGS.items() if getattr(answer, flag, False)]


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _others(shapes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """What has no column in the rows of other tasks, as boxes have."""
    return {key: values for key, values in shapes.items() if key != "boxes"}


def lines_of(answer: Prediction | Alternative) -> Iterator[str]:
    """An answer as people read it: the text, then a line a shape, in pixels; the text of labelled
    boxes is with them."""
    values = answer.shapes
    types = {key: type for kind in KINDS.values() for key, type in kind.row_types().items()}
    if answer.text and not any(types.get(key) == "labels" for key in values):
        yield answer.text
    for kind in KINDS.values():
        for label, numbers in kind.said(values):
            written = " ".join(f"{value:.1f}" for value in numbers)
            yield (f"{label}\t" if label else "") + written
