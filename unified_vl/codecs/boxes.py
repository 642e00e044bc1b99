"""Boxes and location tokens.

A coordinate v in [0, 1] becomes the token `floor(v * bins)`, clipped to the last
bin, and comes back as the bin's centre: the error is at most half a bin and a
decoded box never leaves the image (Pix2Seq, arXiv 2109.10852, section 2.1, with
centres in place of edges). The order is x1 y1 x2 y2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from unified_vl.codecs.segments import Box
from unified_vl.codecs.vocabulary import Vocabulary


class BoxCodec:
    """`Box` to four location ids and back."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.id_range = vocabulary.locations

    def encode(self, box: Box) -> list[int]:
        """Four ids in the order x1 y1 x2 y2."""
        bins = len(self.id_range)
        return [
            self.id_range[min(math.floor(v * bins), bins - 1)]
            for v in (box.x1, box.y1, box.x2, box.y2)
        ]

    def decode(self, ids: Sequence[int]) -> Box:
        """The box at the centres of four bins; corners in the wrong order are swapped.

        Raises:
            ValueError: when `ids` are not four location ids.
        """
        if len(ids) != 4 or any(i not in self.id_range for i in ids):
            raise ValueError(f"a box is four location ids, not {list(ids)}")
        bins = len(self.id_range)
        xa, ya, xb, yb = ((i - self.id_range.start + 0.5) / bins for i in ids)
        return Box(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))


def box_from_row(values: Sequence[float], layout: str, units: str, width: int, height: int) -> Box:
    """The box that four numbers of a data file mean.

    Args:
        values: four numbers.
        layout: `xyxy` (two corners) or `xywh` (corner and size).
        units: `pixels` of the user's image or `relative` to it.
        width: of the user's image, in pixels.
        height: the same.

    Raises:
        ValueError: when there are not four finite numbers, the box is empty, or it
            lies outside the image.
    """
    if len(values) != 4 or not all(math.isfinite(float(v)) for v in values):
        raise ValueError(f"a box is four finite numbers, not {list(values)}")
    x1, y1, x2, y2 = (float(v) for v in values)
    if layout == "xywh":
        x2, y2 = x1 + x2, y1 + y2
    if units == "pixels":
        x1, x2, y1, y2 = x1 / width, x2 / width, y1 / height, y2 / height
    slack = 1e-6  # what rounding in a file may cost
    if min(x1, y1) < -slack or max(x2, y2) > 1 + slack:
        size = f"{width}x{height} pixels" if units == "pixels" else "0 to 1"
        raise ValueError(f"box {list(values)} ({layout}) lies outside its image ({size})")
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box {list(values)} ({layout}) is empty")
    return Box(max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0))


def box_to_pixels(box: Box, width: int, height: int) -> list[float]:
    """`[x1, y1, x2, y2]` in pixels of an image of that size."""
    return [box.x1 * width, box.y1 * height, box.x2 * width, box.y2 * height]
