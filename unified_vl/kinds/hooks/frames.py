"""Numbers of data files to places in an image: in what units they are, and of which pixels.

Annotators draw on an image that is not always the one on disk: theirs may have been larger, or
its file says by EXIF that it is to be turned, and their tool did not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unified_vl.geometry import Box, Layout, between, corners

SLACK = 1e-6  # what rounding in a file may cost
TURNED = 5  # EXIF orientations from here on exchange width and height


@dataclass(frozen=True, slots=True)
class Frame:
    """What the numbers of a shape are measured in.

    Attributes:
        width: of the image that the shape was drawn on, in pixels; None where nothing says it.
        height: the same.
        relative: whether the numbers are fractions of it, and not pixels.
        orientation: how EXIF turns the pixels that the shape was drawn on, 1 to 8; 1 where it
            was drawn on the upright image.
        clip: whether all beyond the edge is cut off, and not only less than a pixel.
    """

    width: float | None
    height: float | None
    relative: bool = False
    orientation: int = 1
    clip: bool = False

    def other_way(self, orientation: int) -> Frame:
        """The same for an image that was turned, or not, before it was drawn on."""
        turned = 1 if self.orientation != 1 else orientation
        return replace(self, width=self.height, height=self.width, orientation=turned)

    @property
    def said(self) -> str:
        """Where a place lies inside it, as messages say it."""
        return "0 to 1" if self.relative else f"{self.width:g}x{self.height:g} pixels"

    def inside(self, values: Sequence[float], name: str) -> tuple[tuple[float, ...], float]:
        """The fractions of the image that x, y, x, y, ... mean, cut off at its edges, and how many
        pixels lay beyond.

        Raises:
            ValueError: for a place outside the image by a pixel or more.
        """
        sides = (self.width, self.height)
        kept, most = [], 0.0
        for place, value in enumerate(values):
            side = sides[place % 2]
            v = value if self.relative or side is None else value / side
            beyond = max(-v, v - 1)
            if beyond > 0:
                pixels = beyond * side if side is not None else math.inf
                # a fraction beyond by a rounding of its digits is none
                if beyond > SLACK and pixels >= 1 and not self.clip:
                    raise ValueError(f"{name} lies outside its image ({self.said})")
                if beyond > SLACK:
                    most = max(most, pixels)
                v = min(max(v, 0.0), 1.0)
            kept.append(v)
        return tuple(kept), most

    def box(self, values: Sequence[float], layout: Layout) -> tuple[Box, float]:
        """The box that four numbers mean, and how many pixels of it lay beyond the edge.

        Args:
            values: four numbers.
            layout: `xyxy` (two corners), `xywh` (corner and size), or `cxcywh` (centre and size).

        Raises:
            ValueError: when there are not four finite numbers, the box is empty, or it lies
                outside the image by a pixel or more.
        """
        if len(values) != 4 or not all(math.isfinite(float(v)) for v in values):
            raise ValueError(f"a box is four finite numbers, not {list(values)}")
        x1, y1, x2, y2 = corners([float(v) for v in values], layout)
        if x2 <= x1 or y2 <= y1:
            raise ValueError(f"box {list(values)} ({layout}) is empty")
        (x1, y1, x2, y2), beyond = self.inside((x1, y1, x2, y2), f"box {list(values)} ({layout})")
        if x2 <= x1 or y2 <= y1:
            raise ValueError(f"box {list(values)} ({layout}) lies outside its image ({self.said})")
        xa, ya, xb, yb = upright((x1, y1, x2, y2), self.orientation)
        return between(xa, ya, xb, yb), beyond


def upright(xy: Sequence[float], orientation: int) -> tuple[float, ...]:
    """Fractions x, y, x, y, ... of stored pixels as those of the image that EXIF makes of them.

    Args:
        xy: the fractions.
        orientation: the EXIF tag, 1 to 8 (Exif 2.32, section 4.6.4); 1 and others change nothing.
    """
    found: list[float] = []
    for x, y in zip(xy[::2], xy[1::2], strict=True):
        if orientation >= TURNED:  # rows become columns
            x, y = y, x
        if orientation in (2, 3, 6, 7):
            x = 1 - x
        if orientation in (3, 4, 7, 8):
            y = 1 - y
        found += (x, y)
    return tuple(found)


def short(values: Sequence[float]) -> str:
    """Numbers for a message."""
    text = str(list(values))
    return text if len(text) <= 80 else f"{text[:77]}..."
