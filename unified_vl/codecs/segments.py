"""The typed pieces that every source and target is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from unified_vl.codecs.images import LoadedImage
from unified_vl.geometry import Shape


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text in any script."""

    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A named token of the tag range: `language:de`, `task:emoji_caption`."""

    name: str


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


Segment = Text | Tag | Shape | Image | ImageCodes | Pieces | Noised
