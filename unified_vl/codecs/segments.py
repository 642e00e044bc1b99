"""The typed pieces that every source and target is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.segments import Clip, Image, ImageCodes, Regions, Tag, Text

__all__ = [
    "Clip",
    "Image",
    "ImageCodes",
    "Noised",
    "Pieces",
    "Regions",
    "Segment",
    "Shape",
    "Tag",
    "Text",
]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Text that is in the tokenizer's pieces already; `cut` where more of it did not fit."""

    ids: tuple[int, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Noised:
    """A text of whose pieces some will be taken out, which `codecs.noise.settle` does.

    Attributes:
        field: the field; source and target have one segment each of it.
        text: all of the text.
        kind: spans, or all behind a place.
        rate: the share that spans take.
        mean_span: mean length of a span, in pieces.
        seed: decides what.
    """

    field: str
    text: str
    kind: Literal["span_corruption", "prefix_lm"]
    rate: float
    mean_span: float
    seed: int


Segment = Text | Tag | Shape | Image | ImageCodes | Regions | Pieces | Noised
