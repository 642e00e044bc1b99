"""What a detector saw, as words: the classes of an image's regions (OSCAR, arXiv 2004.06165)."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from unified_vl.kinds.hooks.cells import Cell
from unified_vl.kinds.hooks.class_names import names_problems
from unified_vl.kinds.hooks.segments import Regions
from unified_vl.kinds.kind import AnyField, Kind, Reading, Rules
from unified_vl.parts import KeyPath, Problem


class RegionTagsKind(Kind):
    """The names of the classes of an image's regions, each once, with commas between them."""

    name = "region_tags"
    asks = False
    lists = False
    may_lack = False
    reads = ("regions", "names")
    beside = ("regions",)
    mandatory = MappingProxyType(
        {"regions": "a field of kind regions", "names": "{file: NAME.txt} or {values: [...]}"}
    )

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        names = getattr(field, "names", None)
        if names is not None:
            yield from names_problems(names, (*place, "names"), rules)
        regions = getattr(field, "regions", None)
        if regions is not None:
            yield from rules.one_beside((*place, "regions"), regions, "regions")

    def read(self, cell: Cell, reading: Reading) -> tuple[str, ...]:
        """One text, in the order of the regions; those without a class say nothing."""
        regions: Regions = reading.values(reading.beside(cell.field.regions))[0]
        names = reading.class_names(cell.name)
        classes = dict.fromkeys(int(number) for number in regions.classes_R if number >= 0)
        beyond = [number for number in classes if number >= len(names)]
        if beyond:
            raise cell.bad(f"found the class {beyond[0]}", f"below {len(names)}, the names")
        if not classes:
            raise cell.bad("has regions without classes", "a file of features that says them")
        return (", ".join(dict.fromkeys(names[number] for number in classes)),)
