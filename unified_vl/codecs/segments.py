"""The typed pieces that every source and target is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from unified_vl.codecs.images import LoadedImage


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text in any script."""

    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A named token of the tag range: `language:de`, `task:emoji_caption`."""

    name: str


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions of the user's image: 0 <= x1 < x2 <= 1, the same for y.

    What is in it, where that is known, is `label`; in a sequence it is a text before the box.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A place as fractions of the user's image, 0 to 1."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Polygon:
    """An outline as fractions of the user's image: x, y, x, y, ... of three corners or more."""

    xy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """An image, already at the size that the network reads."""

    image: LoadedImage


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


@dataclass(frozen=True, slots=True)
class ImageCodes:
    """An image in the codes of the image tokenizer.

    Attributes:
        codes: row by row; None where it is masked.
        columns: of the grid.
        image: what they were made of, where that is known, at the size that has so many codes.
    """

    codes: tuple[int | None, ...]
    columns: int
    image: LoadedImage | None = field(default=None, compare=False, repr=False)


Shape = Box | Point | Polygon
Segment = Text | Tag | Shape | Image | ImageCodes | Pieces | Noised
