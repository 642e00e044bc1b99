"""Regions of an image as a detector saw them: features and boxes in place of pixels.

ViLBERT, LXMERT, VisualBERT, UNITER, OSCAR, VinVL and VL-T5 read images so (bottom-up attention,
arXiv 1707.07998).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import Field

from unified_vl.kinds.hooks.cells import Cell
from unified_vl.kinds.hooks.segments import Regions, region_tag
from unified_vl.kinds.kind import AnyField, Kind, Reading, Rules
from unified_vl.parts import KeyPath, Part, Problem

MOST_REGIONS = 1000
PLACE_TAG = "regions"


class RegionsKeys(Part):
    """What a field says of regions."""

    features: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Regions only: the files of features, relative to the data root, in which the "
        "column's value is looked up: a .tsv of bottom-up attention, an .h5, a .parquet, or a "
        "folder of .npz files (docs/regions.md). Without it each row names an .npz file.",
        examples=[["features/train2014_obj36.tsv", "features/val2014_obj36.tsv"]],
    )
    most: int | None = Field(
        default=None,
        ge=1,
        le=MOST_REGIONS,
        description="Regions only, and mandatory there: how many of an image's regions the model "
        "reads at most; the first ones of the file.",
        examples=[36],
    )
    hide: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="Regions only: the share of regions whose features are hidden in training; "
        "the rest of the example, and the objectives of masked regions, have to make up for it.",
        examples=[0.15],
    )


class RegionsKind(Kind):
    """The regions of an image: features of a detector, with their boxes."""

    name = "regions"
    asks = False
    has_features = True
    lists = False
    writing = "nothing"
    reads = ("features", "most", "hide")
    mandatory = MappingProxyType({"most": f"how many regions are read, 1 to {MOST_REGIONS}"})
    page_hint = "their arrays, which nobody types"

    @property
    def json_schema(self) -> dict[str, Any]:
        rows = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
        return {
            "type": "object",
            "properties": {"features": rows, "norm_bb": rows},
            "required": ["features", "norm_bb"],
        }

    def typed(self, text: str) -> Any:
        """Nothing: a name would be looked up among the files of whoever answers."""
        raise ValueError("the arrays `features` and `norm_bb`, from a program")

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, RegionsKeys)
        for index, name in enumerate(field.features or ()):
            if not name or name.startswith("/") or ".." in name.split("/"):
                path = (*place, "features", index)
                yield Problem(path, f"{name!r} leaves the data root", expected="a path below it")

    def tags(self, field: Any) -> Sequence[str]:
        return [PLACE_TAG, *(region_tag(number) for number in range(field.most or 0))]

    def read(self, cell: Cell, reading: Reading) -> tuple[Regions, ...]:
        return (reading.regions(cell, cell.value),)
