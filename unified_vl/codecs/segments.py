"""The typed pieces that every source and target is made of."""

from __future__ import annotations

from dataclasses import dataclass

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
    """A rectangle as fractions of the user's image: 0 <= x1 < x2 <= 1, the same for y."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Image:
    """An image, already at the size that the network reads."""

    image: LoadedImage


Segment = Text | Tag | Box | Image
