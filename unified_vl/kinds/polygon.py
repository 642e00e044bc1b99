"""Polygons: outlines of things in an image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_vl.geometry import Polygon
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
