"""Where places of an image go when it is cropped, shifted, scaled, turned or mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Motion:
    """An affine map of places, as fractions of the sides of an image before and after.

    What was at (x, y) is at (a x + b y + c, d x + e y + f) then. The frame stays: what goes beyond
    0 to 1 is no longer seen.
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    def of(self, xy: Sequence[float]) -> list[float]:
        """Coordinates x, y, x, y, ... after the motion."""
        moved: list[float] = []
        for x, y in zip(xy[::2], xy[1::2], strict=True):
            moved += (
                self.a * x + self.b * y + self.c,
                self.d * x + self.e * y + self.f,
            )
        return moved

    @property
    def mirrors(self) -> bool:
        """Whether left and right, or top and bottom, change places."""
        return self.a * self.e < self.b * self.d

    @property
    def inverse(self) -> Motion:
        """The motion that undoes it.

        Raises:
            ZeroDivisionError: for one that makes a line or a point of the image.
        """
        size = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / size, -self.b / size, -self.d / size, self.a / size
        return Motion(a, b, -a * self.c - b * self.f, d, e, -d * self.c - e * self.f)


MIRRORED = Motion(a=-1.0, c=1.0)


def cropped(left: float, top: float, width: float, height: float) -> Motion:
    """The motion that lets a part of an image fill the frame."""
    return Motion(a=1 / width, c=-left / width, e=1 / height, f=-top / height)


def turned(degrees: float, ratio: float) -> Motion:
    """The motion that turns an image around its middle, anticlockwise as it is looked at.

    Args:
        degrees: by how much.
        ratio: of its width to its height, in pixels.
    """
    across, along = cos(radians(degrees)), sin(radians(degrees))
    b, d = along / ratio, -along * ratio
    return Motion(across, b, 0.5 * (1 - across - b), d, across, 0.5 * (1 - across - d))


class Moved(NamedTuple):
    """A place after a motion.

    Attributes:
        value: of the same kind, cut off at the edge of the frame.
        kept: the share of it that is still in the frame: 1 for all.
    """

    value: Any
    kept: float
