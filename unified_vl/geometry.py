"""Places in an image: boxes, points and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Layout = Literal["xyxy", "xywh", "cxcywh"]
"""What four numbers of a box are: two corners, a corner and the size, the centre and the size."""


class Shape:
    """A place in an image, whatever its kind."""

    __slots__ = ()

    @property
    def coordinates(self) -> tuple[float, ...]:
        """The numbers that say where it is, x y x y ..., in the order in which they are written."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Box(Shape):
    """A rectangle as fractions of the user's image: 0 <= x1 < x2 <= 1, the same for y.

    What is in it, where that is known, is `label`; in a sequence it is a text before the box.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    label: str | None = None

    @property
    def coordinates(self) -> tuple[float, ...]:
        return self.x1, self.y1, self.x2, self.y2


@dataclass(frozen=True, slots=True)
class Point(Shape):
    """A place as fractions of the user's image, 0 to 1."""

    x: float
    y: float

    @property
    def coordinates(self) -> tuple[float, ...]:
        return self.x, self.y


@dataclass(frozen=True, slots=True)
class Polygon(Shape):
    """An outline as fractions of the user's image: x, y, x, y, ... of three corners or more."""

    xy: tuple[float, ...]

    @property
    def coordinates(self) -> tuple[float, ...]:
        return self.xy


@dataclass(frozen=True, slots=True)
class Moment(Shape):
    """From when to when in a video, as fractions of its length: 0 <= start < end <= 1."""

    start: float
    end: float

    @property
    def coordinates(self) -> tuple[float, ...]:
        return self.start, self.end


def coordinates(shape: Shape) -> tuple[float, ...]:
    """The numbers that say where a shape is, in the order in which they are written."""
    return shape.coordinates


def to_pixels(shape: Shape, width: int, height: int) -> list[float]:
    """The coordinates of a shape in pixels of an image of that size: `[x1, y1, x2, y2]` ...

    To a millionth of a pixel, so that they are as short as they are meant: 24.06, not
    24.060000000000002.
    """
    sides = (width, height)
    return [round(v * sides[place % 2], 6) for place, v in enumerate(shape.coordinates)]


def corners(values: Sequence[float], layout: Layout) -> tuple[float, float, float, float]:
    """Four numbers in some layout as `x1, y1, x2, y2`."""
    a, b, c, d = values
    if layout == "xywh":
        return a, b, a + c, b + d
    if layout == "cxcywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


def between(xa: float, ya: float, xb: float, yb: float) -> Box:
    """The box of any two opposite corners."""
    return Box(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
