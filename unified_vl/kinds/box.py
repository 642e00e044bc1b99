"""Boxes: upright rectangles in an image, perhaps with a label each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from pydantic import Field

from unified_vl.kinds.kind import AnyField, Rules
from unified_vl.kinds.places import PlaceKind
from unified_vl.parts import KeyPath, Name, Part, Problem, one_of

Layout = Literal["xyxy", "xywh", "cxcywh"]


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
    allows = ("box", "labelled_boxes")
    reads = ("layout", "columns", *PlaceKind.reads, "labels")
    mandatory = {"layout": one_of(get_args(Layout)), **PlaceKind.mandatory}  # noqa: RUF012
    numbers = 4

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        yield from super().problems(field, place, rules)
        assert isinstance(field, BoxKeys)
        if field.labels is None:
            return
        yield from rules.beside((*place, "labels"), field.labels, ("text", "label"))
        if not field.many:
            expected = "many: true, a label a box"
            yield Problem((*place, "many"), "one box has no list of labels", expected=expected)

    def grammar(self, fields: Sequence[AnyField]) -> str:
        labelled = any(isinstance(f, BoxKeys) and f.labels is not None for f in fields)
        return self.allows[1] if labelled else self.allows[0]
