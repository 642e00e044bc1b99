"""Boxes: upright rectangles in an image, perhaps with a label each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from pydantic import Field

from unified_vl.geometry import Box, Shape
from unified_vl.kinds.hooks.cells import Cell, Size
from unified_vl.kinds.hooks.frames import Frame, upright
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.hooks.segments import Text
from unified_vl.kinds.kind import AnyField, Draft, Reading, RowType, Rules
from unified_vl.kinds.places import PlaceKind
from unified_vl.parts import KeyPath, Name, Part, Problem, one_of

Layout = Literal["xyxy", "xywh", "cxcywh"]


def corners(values: Sequence[float], layout: Layout) -> tuple[float, float, float, float]:
    """Four numbers in some layout as `x1, y1, x2, y2`."""
    a, b, c, d = values
    if layout == "xywh":
        return a, b, a + c, b + d
    if layout == "cxcywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


def box_in(frame: Frame, values: Sequence[float], layout: Layout) -> tuple[Box, float]:
    """The box that four numbers mean, and how many pixels of it lay beyond the edge.

    Args:
        frame: what they are measured in.
        values: four numbers.
        layout: `xyxy` (two corners), `xywh` (corner and size), or `cxcywh` (centre and size).

    Raises:
        ValueError: when there are not four finite numbers, the box is empty, or it lies outside
            the image by a pixel or more.
    """
    if len(values) != 4 or not all(math.isfinite(float(v)) for v in values):
        raise ValueError(f"a box is four finite numbers, not {list(values)}")
    x1, y1, x2, y2 = corners([float(v) for v in values], layout)
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box {list(values)} ({layout}) is empty")
    (x1, y1, x2, y2), beyond = frame.inside((x1, y1, x2, y2), f"box {list(values)} ({layout})")
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box {list(values)} ({layout}) lies outside its image ({frame.said})")
    return _between(*upright((x1, y1, x2, y2), frame.orientation)), beyond


def _between(xa: float, ya: float, xb: float, yb: float) -> Box:
    """The box of any two opposite corners."""
    return Box(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))


class BoxKeys(Part):
    """What a field says of boxes, beside what it says of all places."""

    layout: Layout | None = Field(
        default=None,
        description="Boxes only, and mandatory there: two corners, a corner and a size, or a "
        "centre and a size.",
        examples=["xywh"],
    )
    labels: Name | None = Field(
        default=None,
        description="Boxes only: the field of as many texts or labels that say what is in each.",
        examples=["names"],
    )


class BoxKind(PlaceKind):
    """A box: x1 y1 x2 y2, the text before it being its label."""

    name = "box"
    rows = "boxes"
    allows = ("box", "labelled_boxes")
    reads = ("layout", "columns", *PlaceKind.reads, "labels")
    mandatory = MappingProxyType({"layout": one_of(get_args(Layout)), **PlaceKind.mandatory})
    beside = ("labels",)
    numbers = 4
    value = Box
    count = 4
    rising = True
    labelled = "labelled_boxes"
    metrics = ("box_accuracy", "mean_iou")

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        yield from super().problems(field, place, rules)
        assert isinstance(field, BoxKeys)
        if field.labels is None:
            return
        yield from rules.beside((*place, "labels"), field.labels, ("text", "label"))
        if not field.many:
            expected = "many: true, a label a box"
            yield Problem((*place, "many"), "one box has no list of labels", expected=expected)

    def is_drafted(self, column: str, counts: set[int]) -> bool:
        return counts == {4}

    def draft(self, name: str, many: bool, labelled: bool) -> Draft | None:
        found = super().draft(name, many, labelled)
        return replace(found, metrics=("coco_map",)) if found is not None and many else found

    @property
    def wanted(self) -> str:
        return "a box of four numbers"

    def made(self, xy: Sequence[float]) -> Box:
        return _between(*xy)

    def placed(self, values: Sequence[float], frame: Frame, field: Any) -> tuple[Box, float]:
        return box_in(frame, values, field.layout or "xyxy")

    def read(self, cell: Cell, reading: Reading) -> tuple[Shape, ...]:
        """The boxes with the labels that stand beside them."""
        boxes = cast(tuple[Box, ...], reading.places(cell))
        if cell.field.labels is None:
            return boxes
        beside = reading.beside(cell.field.labels)
        labels = reading.values(beside) if boxes or beside.value else ()
        if len(labels) != len(boxes):
            raise beside.bad(f"holds {len(labels)} labels for {len(boxes)} boxes")
        pairs = zip(boxes, labels, strict=True)
        return tuple(replace(box, label=str(label)) for box, label in pairs)

    def label_of(self, value: Box) -> str | None:
        return value.label

    def outline(self, xy: Sequence[float]) -> tuple[str, dict[str, Any]]:
        x1, y1, x2, y2 = xy
        return "rect", {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}

    def answered(self, segments: Sequence[Any], fields: Sequence[Any]) -> Sequence[Any]:
        return with_labels(segments) if any(f.labels is not None for f in fields) else segments

    def row_types(self) -> Mapping[str, RowType]:
        return {self.rows: "numbers", "labels": "labels"}

    def row(
        self, text: str, segments: Sequence[Any], size: Size, fields: Sequence[Any]
    ) -> dict[str, list[Any]]:
        found = super().row(text, segments, size, fields)
        if any(field.labels is not None for field in fields):
            found["labels"] = [box.label for box in segments if isinstance(box, Box)]
        return found

    def said(self, row: Mapping[str, Any]) -> Iterator[tuple[str | None, Sequence[float]]]:
        boxes = row.get(self.rows) or ()
        labels = row.get("labels")
        yield from zip([None] * len(boxes) if labels is None else labels, boxes, strict=True)

    def draw(self, pen: Pen, row: Mapping[str, Any]) -> None:
        labels = row.get("labels") or ()
        for number, (x1, y1, x2, y2) in enumerate(row.get(self.rows) or ()):
            pen.frame(number, x1, y1, x2, y2)
            if number < len(labels) and labels[number]:
                pen.text(number, x1, y1, labels[number])

    def pieces(self, value: Box, number: int) -> Iterator[Any]:
        """A box comes behind its label."""
        if value.label is not None:
            yield f" {value.label} "
        yield value

    def grammar(self, fields: Sequence[AnyField]) -> str:
        labelled = any(isinstance(f, BoxKeys) and f.labels is not None for f in fields)
        return self.allows[1] if labelled else self.allows[0]


def with_labels(segments: Sequence[Any]) -> tuple[Any, ...]:
    """The segments with each text that stands before a box as that box's label."""
    found: list[Any] = []
    for segment in segments:
        if isinstance(segment, Box) and found and isinstance(found[-1], Text):
            label = found.pop()
            segment = replace(segment, label=label.text.strip())
        found.append(segment)
    return tuple(found)
