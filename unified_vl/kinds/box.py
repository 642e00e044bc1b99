"""Boxes: upright rectangles in an image, perhaps with a label each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast, get_args

from pydantic import Field

from unified_vl.geometry import Box, Layout, Shape, between
from unified_vl.kinds.hooks.cells import Cell, Size
from unified_vl.kinds.hooks.drafts import Draft, Recognised
from unified_vl.kinds.hooks.frames import Frame
from unified_vl.kinds.hooks.motion import Motion, Moved
from unified_vl.kinds.hooks.pen import Pen
from unified_vl.kinds.hooks.segments import Text
from unified_vl.kinds.kind import AnyField, Reading, RowType, Rules
from unified_vl.kinds.places import PlaceKind
from unified_vl.parts import KeyPath, Name, Part, Problem, one_of

_SIZES = re.compile(r"xywh|wh$|_wh|ltwh")
_CORNERS = re.compile(r"xyxy|corner|ltrb|x1")
_COLUMNS = tuple(
    (tuple(names.split()), MappingProxyType({"layout": layout}))
    for names, layout in (
        ("xmin ymin xmax ymax", "xyxy"),
        ("x1 y1 x2 y2", "xyxy"),
        ("left top right bottom", "xyxy"),
        ("xcenter ycenter width height", "cxcywh"),
        ("cx cy w h", "cxcywh"),
        ("left top width height", "xywh"),
        ("x y width height", "xywh"),
        ("x y w h", "xywh"),
    )
)


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
    number_columns = _COLUMNS
    value = Box
    count = 4
    rising = True
    labelled = "labelled_boxes"
    turns = False
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

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        """What four numbers are is told by themselves or by their name, or is tried."""
        found = super().recognise(column, values)
        if found is None:
            return None
        layouts: tuple[Layout, ...] = ("xyxy", "xywh")
        why = "which of both fits all images that were looked at"
        if any(x2 <= x1 or y2 <= y1 for x1, y1, x2, y2 in values):
            layouts, why = (
                ("xywh",),
                "the third or fourth number is not always above the first or second",
            )
        elif _SIZES.search(column):
            layouts, why = ("xywh",), "the column's name"
        elif _CORNERS.search(column):
            layouts, why = ("xyxy",), "the column's name"
        return Recognised({"layout": layouts, **found.keys}, why)

    def draft(self, name: str, many: bool, labelled: bool) -> Draft | None:
        found = super().draft(name, many, labelled)
        return replace(found, metrics=("coco_map",)) if found is not None and many else found

    @property
    def wanted(self) -> str:
        return "a box of four numbers"

    def made(self, xy: Sequence[float]) -> Box:
        xa, ya, xb, yb = xy
        return between(xa, ya, xb, yb)

    def placed(self, values: Sequence[float], frame: Frame, field: Any) -> tuple[Box, float]:
        return frame.box(values, field.layout or "xyxy")

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

    def moved_along(self, value: Box, motion: Motion) -> Moved | None:
        """The part of it that is still in the image, by its area."""
        moved = self.made(motion.of(value.coordinates))
        seen = [min(max(number, 0.0), 1.0) for number in moved.coordinates]
        area = (seen[2] - seen[0]) * (seen[3] - seen[1])
        if area <= 0.0:
            return None
        whole = (moved.x2 - moved.x1) * (moved.y2 - moved.y1)
        return Moved(self.relabelled(self.made(seen), value), area / whole)

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
