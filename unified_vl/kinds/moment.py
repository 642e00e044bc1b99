"""Moments: from when to when in a video, as two location tokens of one axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field

from unified_vl.geometry import Moment
from unified_vl.kinds.hooks.cells import Cell, items_of, list_of_numbers, said
from unified_vl.kinds.hooks.drafts import Draft, Recognised
from unified_vl.kinds.hooks.motion import Motion, Moved
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.kind import AnyField, Reading, Rules
from unified_vl.kinds.places import ColumnName, PlaceKind
from unified_vl.parts import KeyPath, Part, Problem

_LATE = 0.02  # of a video: annotations round its length, and people mark its last moment late


class MomentKeys(Part):
    """What a field says of moments."""

    duration: ColumnName | None = Field(
        default=None,
        description="Moments only: the column of the video's length, in the unit of the moment's "
        "numbers (seconds, frames); without it they are fractions of it, 0 to 1.",
        examples=["duration"],
    )


class MomentKind(PlaceKind):
    """A moment of a video: start and end, relative to its length."""

    name = "moment"
    rows = "moments"
    allows = ("moment",)
    reads = ("columns", "duration", "empty")
    mandatory: ClassVar[MappingProxyType[str, str]] = MappingProxyType({})
    numbers = 2
    value = Moment
    count = 2
    rising = True
    in_image = False
    may_be_flat = True  # x and y of it are start and end
    metrics = ("moment_accuracy", "moment_iou")
    page_hint = "start and end as fractions of the video, with a comma between them"

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        empty = getattr(field, "empty", None)
        if empty is not None and not field.many:
            yield Problem((*place, "empty"), "one value is never none", expected="many: true")

    def made(self, xy: Sequence[float]) -> Moment:
        start, end = sorted(xy)
        return Moment(start, end)

    def read(self, cell: Cell, reading: Reading) -> tuple[Moment, ...]:
        length = self._length(cell)
        found = []
        for item in items_of(cell, ", or empty: true of the field"):
            numbers = list_of_numbers(item)
            if numbers is None or len(numbers) != 2:
                raise cell.bad(f"found {said(item)}", "the start and the end of a moment")
            start, end = (number / length for number in numbers)
            if not 0.0 <= start < end <= 1.0 + _LATE or start >= 1.0:
                within = "1, the end" if cell.field.duration is None else f"{length:g}, its length"
                raise cell.bad(f"found {said(item)}", f"start below end, from 0 to {within}")
            found.append(Moment(start, min(end, 1.0)))
        return tuple(found)

    def _length(self, cell: Cell) -> float:
        column = cell.field.duration
        if column is None:
            return 1.0
        value = cell.row.columns.get(column)
        numbers = list_of_numbers([str(value)])
        if numbers is None or numbers[0] <= 0:
            raise cell.bad(f"found {said(value)} in {column!r}", "the length of the video")
        return float(numbers[0])

    def moved_along(self, value: Any, motion: Motion) -> Moved | None:
        """Time does not move with the pixels."""
        return Moved(value, 1.0)

    def outline(self, xy: Sequence[float]) -> tuple[str, dict[str, Any]]:
        """Nothing: it is no place in a picture."""
        return "path", {"d": "M0 0"}

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        """Nothing, likewise."""

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        return None  # two numbers in a list may be anything

    def draft(self, name: str, many: bool, labelled: bool) -> Draft | None:
        return Draft(self.metrics, self.name, 3, "When is it?")
