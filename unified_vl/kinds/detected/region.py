"""The name of a region: an answer that points at one of those that were read (VL-T5, arXiv
2102.02779, section 3.1: visual sentinel tokens)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import Field

from unified_vl.geometry import Box, to_pixels
from unified_vl.kinds.hooks.cells import Cell, Size
from unified_vl.kinds.hooks.segments import Regions, Tag, region_number, region_tag
from unified_vl.kinds.kind import AnyField, Kind, Reading, RowType, Rules
from unified_vl.parts import KeyPath, Name, Part, Problem


class RegionKeys(Part):
    """What a field says of a region's name."""

    regions: Name | None = Field(
        default=None,
        description="Names and tags of regions only, and mandatory there: the field of kind "
        "`regions` that they are of.",
        examples=["regions"],
    )
    nearest: Name | None = Field(
        default=None,
        description="Names of regions only, and mandatory there: the field of kind `box` that says "
        "where what is meant lies; its name is that of the region that overlaps most with it.",
        examples=["box"],
    )


class RegionKind(Kind):
    """The name of one of an image's regions."""

    name = "region"
    asks = False
    lists = False
    may_lack = False
    writing = "names"
    allows = ("region",)
    reads = ("regions", "nearest")
    beside = ("regions", "nearest")
    mandatory = MappingProxyType(
        {"regions": "a field of kind regions", "nearest": "a field of kind box"}
    )

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, RegionKeys)
        for key, kind in (("regions", "regions"), ("nearest", "box")):
            name = getattr(field, key)
            if name is not None:
                yield from rules.one_beside((*place, key), name, kind)

    def read(self, cell: Cell, reading: Reading) -> tuple[Tag, ...]:
        """The region with the largest IoU with the box; of several the first."""
        regions: Regions = reading.values(reading.beside(cell.field.regions))[0]
        box: Box = reading.values(reading.beside(cell.field.nearest))[0]
        best = max(range(len(regions)), key=lambda n: overlap(box, regions.boxes_R4[n].tolist()))
        return (Tag(region_tag(best)),)

    def located(self, segments: Sequence[Any], source: Sequence[Any]) -> Sequence[Any]:
        """An answer with the box of the region that it names behind its name."""
        regions = next((each for each in source if isinstance(each, Regions)), None)
        found: list[Any] = []
        for each in segments:
            found.append(each)
            number = region_number(each.name) if isinstance(each, Tag) else None
            if regions is not None and number is not None and number < len(regions):
                found.append(Box(*regions.boxes_R4[number].tolist()))
        return tuple(found)

    def row_types(self) -> Mapping[str, RowType]:
        return {"boxes": "numbers"}

    def row(
        self, text: str, segments: Sequence[Any], size: Size, fields: Sequence[Any]
    ) -> dict[str, list[Any]]:
        return {"boxes": [to_pixels(s, *size) for s in segments if isinstance(s, Box)]}


def overlap(box: Box, other: Sequence[float]) -> float:
    """Intersection over union of a box with left, top, right and bottom of another."""
    left, top, right, bottom = other
    width = max(min(box.x2, right) - max(box.x1, left), 0.0)
    height = max(min(box.y2, bottom) - max(box.y1, top), 0.0)
    both = (box.x2 - box.x1) * (box.y2 - box.y1) + (right - left) * (bottom - top)
    return width * height / max(both - width * height, 1e-9)
