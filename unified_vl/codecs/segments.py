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


Shape = Box | Point | Polygon
Segment = Text | Tag | Shape | Image
