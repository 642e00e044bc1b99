"""Points in an image."""

from __future__ import annotations

from unified_vl.kinds.places import PlaceKind


class PointKind(PlaceKind):
    """A point: x y."""

    name = "point"
    allows = ("point",)
    reads = ("columns", *PlaceKind.reads)
    numbers = 2
