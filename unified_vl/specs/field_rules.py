"""What the `fields` of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.specs.checks import RESERVED, parse
from unified_vl.specs.document import KeyPath, Problem, one_of

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def field_problems(spec: TaskSpec) -> Iterator[Problem]:
    for name, field in spec.fields.items():
        place: KeyPath = ("fields", name)
        if name in RESERVED:
            yield Problem(place, f"{name!r} is a built-in name", expected="another name")
        yield from parse(field.column, (*place, "column"), ("language",))[1]
        if field.many and field.kind not in ("text", "box"):
            yield Problem(
                (*place, "many"),
                f"a field of kind {field.kind!r} holds one value",
                expected="many only for 'text' and 'box'",
            )
        for key in ("layout", "units"):
            value = getattr(field, key)
            if field.kind == "box" and value is None:
                known = ("xyxy", "xywh") if key == "layout" else ("pixels", "relative")
                yield Problem((*place, key), "is missing for a box", expected=one_of(known))
            if field.kind != "box" and value is not None:
                yield Problem((*place, key), f"says nothing about a field of kind {field.kind!r}")
        if field.kind == "box" and field.units == "pixels" and spec.image_field is None:
            yield Problem(
                (*place, "units"), "pixels of what?", expected="a field of kind 'image' beside it"
            )
