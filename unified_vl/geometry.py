"""Places in an image: boxes, points and outlines."""

from __future__ import annotations

from dataclasses import dataclass


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


Shape = Box | Point | Polygon
