"""Points in an image."""

from __future__ import annotations

from typing import Any

from unified_vl.geometry import Point
from unified_vl.kinds.places import PlaceKind


class PointKind(PlaceKind):
    """A point: x y."""

    name = "point"
    allows = ("point",)
    reads = ("columns", *PlaceKind.reads)
    numbers = 2
    value = Point
    count = 2
    may_be_flat = True

    def outline(self, value: Point) -> tuple[str, dict[str, Any]]:
        return "circle", {"cx": value.x, "cy": value.y, "r": 0.02}
