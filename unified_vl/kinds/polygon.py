"""Polygons: outlines of things in an image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_vl.geometry import Polygon
from unified_vl.kinds.hooks.motion import Motion, Moved
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.places import PlaceKind

BETWEEN = ";"
_NAMED = re.compile(r"poly|segm|outl")


class PolygonKind(PlaceKind):
    """An outline of three corners or more: x y x y ..."""

    name = "polygon"
    rows = "polygons"
    value = Polygon
    count = 6
    is_open = True
    metrics = ("mask_iou",)
    tokens = 64
    allows = ("polygon",)

    def is_drafted(self, column: str, counts: set[int]) -> bool:
        whole = min(counts) >= 6 and all(count % 2 == 0 for count in counts)
        return whole and bool(_NAMED.search(column))

    def made(self, xy: Sequence[float]) -> Polygon:
        return Polygon(tuple(xy))

    def moved_along(self, value: Polygon, motion: Motion) -> Moved | None:
        """The part of its area that is still in the image; a mirrored one runs the same way round,
        from the same corner, since that is how outlines are learnt."""
        moved = motion.of(value.coordinates)
        corners = list(zip(moved[::2], moved[1::2], strict=True))
        if motion.mirrors:
            corners[1:] = corners[:0:-1]
        whole = _area(corners)
        if all(0.0 <= number <= 1.0 for number in moved):
            return Moved(self.made([v for corner in corners for v in corner]), 1.0)
        for axis, edge, beyond in ((0, 0.0, -1), (0, 1.0, 1), (1, 0.0, -1), (1, 1.0, 1)):
            corners = _cut(corners, axis, edge, beyond)
        seen = _area(corners)
        if len(corners) < 3 or seen <= 0.0:
            return None
        return Moved(self.made([v for corner in corners for v in corner]), seen / whole)

    @property
    def counted(self) -> str:
        return "six or more finite numbers, an even count"

    def pieces(self, value: Polygon, number: int) -> Iterator[Any]:
        """A text stands between two, or they would be one."""
        if number:
            yield BETWEEN
        yield value

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        for number, xy in enumerate(row.get(self.rows) or ()):
            pen.line(number, [*xy, *xy[:2]])


Corner = tuple[float, float]


def _cut(corners: list[Corner], axis: int, edge: float, beyond: int) -> list[Corner]:
    """An outline less what lies beyond a line (Sutherland and Hodgman, CACM 17(1), 1974).

    Args:
        corners: of the outline.
        axis: 0 for a line of one x, 1 for one of one y.
        edge: that number.
        beyond: 1 where larger numbers are beyond, -1 where smaller ones are.
    """
    kept: list[Corner] = []
    for last, corner in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
        inside, was_inside = (beyond * (c[axis] - edge) <= 0.0 for c in (corner, last))
        if inside != was_inside:
            share = (edge - last[axis]) / (corner[axis] - last[axis])
            other = last[1 - axis] + share * (corner[1 - axis] - last[1 - axis])
            kept.append((edge, other) if axis == 0 else (other, edge))
        if inside:
            kept.append(corner)
    return kept


def _area(corners: Sequence[Corner]) -> float:
    """By the shoelace formula."""
    after = [*corners[1:], *corners[:1]]
    twice = sum(x * v - u * y for (x, y), (u, v) in zip(corners, after, strict=True))
    return abs(twice) / 2
