"""Points in an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.geometry import Point
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.places import PlaceKind

_NAMED = re.compile(r"point|xy|spot|click|location|cent(?:er|re)")


class PointKind(PlaceKind):
    """A point: x y."""

    name = "point"
    rows = "points"
    allows = ("point",)
    reads = ("columns", *PlaceKind.reads)
    numbers = 2
    value = Point
    count = 2
    may_be_flat = True
    metrics = ("point_accuracy",)

    def is_drafted(self, column: str, counts: set[int]) -> bool:
        return counts == {2} and bool(_NAMED.search(column))

    def outline(self, xy: Sequence[float]) -> tuple[str, dict[str, Any]]:
        """A line of no length, whose round ends are a dot of its width."""
        x, y = xy
        return "path", {"d": f"M{x} {y}h0"}

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        for number, (x, y) in enumerate(row.get(self.rows) or ()):
            pen.dot(number, x, y)
