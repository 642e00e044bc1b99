"""Polygons: outlines of things in an image."""

from __future__ import annotations

from unified_vl.kinds.places import PlaceKind


class PolygonKind(PlaceKind):
    """An outline of three corners or more: x y x y ..."""

    name = "polygon"
    allows = ("polygon",)
