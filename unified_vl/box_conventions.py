"""Boxes as other models write them, to and from `Box`.

Each is four whole numbers. OFA (arXiv 2202.03052, `utils/transforms.py` and its grounding
data) divides pixels of the resized image by the constant 512 and rounds to 0 ... 999, so a
box depends on the size that the image was brought to; PaliGemma (arXiv 2407.07726, section
3.1) has 1024 places from edge to edge, y before x, the nearest of which big_vision's code takes
(`round(v * 1023)`); Florence-2 (arXiv 2311.06242, section 4.1) has 1000 bins whose
centres it takes back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from unified_vl.geometry import Box

OFA_SIDE, OFA_BINS = 512, 1000
PALIGEMMA_PLACES = 1024
FLORENCE_BINS = 1000


def to_ofa(box: Box, width: int, height: int) -> list[int]:
    """OFA's four bins for an image that it reads at `width` x `height` pixels.

    Raises:
        ValueError: for a side above 512, where two places would share the last bin.
    """
    sides = _ofa_sides(width, height)
    return [round(v * s / OFA_SIDE * (OFA_BINS - 1)) for v, s in _with(box, sides)]


def from_ofa(bins: Sequence[int], width: int, height: int) -> Box:
    """The box of OFA's four bins."""
    sides = _ofa_sides(width, height)
    x1, y1, x2, y2 = _checked(bins, OFA_BINS)
    values = [n / (OFA_BINS - 1) * OFA_SIDE for n in (x1, y1, x2, y2)]
    return _box([min(v / s, 1.0) for v, s in zip(values, sides * 2, strict=True)])


def to_paligemma(box: Box) -> list[int]:
    """PaliGemma's four places, y1 x1 y2 x2."""
    x1, y1, x2, y2 = (round(v * (PALIGEMMA_PLACES - 1)) for v in box.coordinates)
    return [y1, x1, y2, x2]


def from_paligemma(bins: Sequence[int]) -> Box:
    """The box of PaliGemma's four bins, y1 x1 y2 x2."""
    y1, x1, y2, x2 = _checked(bins, PALIGEMMA_PLACES)
    return _box([n / (PALIGEMMA_PLACES - 1) for n in (x1, y1, x2, y2)])


def to_florence(box: Box) -> list[int]:
    """Florence-2's four bins, x1 y1 x2 y2."""
    return [_floor(v, FLORENCE_BINS) for v in box.coordinates]


def from_florence(bins: Sequence[int]) -> Box:
    """The box of Florence-2's four bins, x1 y1 x2 y2."""
    return _box([(n + 0.5) / FLORENCE_BINS for n in _checked(bins, FLORENCE_BINS)])


def _ofa_sides(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= OFA_SIDE and 0 < height <= OFA_SIDE):
        raise ValueError(f"OFA reads images of at most {OFA_SIDE} pixels a side")
    return width, height


def _with(box: Box, sides: tuple[int, int]) -> list[tuple[float, int]]:
    return list(zip(box.coordinates, sides * 2, strict=True))


def _floor(value: float, bins: int) -> int:
    return min(math.floor(value * bins), bins - 1)


def _checked(bins: Sequence[int], count: int) -> Sequence[int]:
    if len(bins) != 4 or not all(0 <= n < count for n in bins):
        raise ValueError(f"a box is four numbers from 0 to {count - 1}, not {list(bins)}")
    return bins


def _box(values: Sequence[float]) -> Box:
    x1, y1, x2, y2 = values
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
