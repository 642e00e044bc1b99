"""Boxes that columns of a table hold: four of them their sides, or one their tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from unified_vl.authoring.drafting.files.samples import Columns
from unified_vl.kinds.box import Layout
from unified_vl.readers.annotation_tools.box_tokens import kind_of
from unified_vl.specs.tasks.fields import as_one

_SIDES: tuple[tuple[tuple[str, ...], Layout], ...] = (
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"),
    (("x1", "y1", "x2", "y2"), "xyxy"),
    (("left", "top", "right", "bottom"), "xyxy"),
    (("xcenter", "ycenter", "width", "height"), "cxcywh"),
    (("cx", "cy", "w", "h"), "cxcywh"),
    (("left", "top", "width", "height"), "xywh"),
    (("x", "y", "width", "height"), "xywh"),
    (("x", "y", "w", "h"), "xywh"),
)


def with_boxes(columns: Columns) -> tuple[Columns, dict[str, tuple[tuple[str, ...], Layout]]]:
    """The columns with one of boxes in place of four of their sides, and what it is made of.

    The box's column is called as the spec's key `columns` makes it; none where no four columns
    are called as sides are, or they hold something else than numbers.
    """
    plain = {_plain(name): name for name in columns}
    for sides, layout in _SIDES:
        if not set(sides) <= set(plain):
            continue
        names = tuple(plain[side] for side in sides)
        rows = list(zip(*(columns[name] for name in names), strict=True))
        boxes = [_box(row) for row in rows]
        if any(box is None for box in boxes):
            continue
        name = as_one(names)
        rest = {n: cells for n, cells in columns.items() if n not in names}
        return {**rest, name: boxes}, {name: (names, layout)}
    return columns, {}


def notes_of_tokens(columns: Columns) -> Iterator[str]:
    """What to do with columns of texts that hold boxes as tokens, as models are tuned on them."""
    for name, values in columns.items():
        kind = next((k for v in values if isinstance(v, str) and (k := kind_of(v))), None)
        if kind is not None:
            yield (
                f"column {name!r} holds boxes as tokens of {kind}: to learn them as boxes, write "
                "JSONL with `image`, `prefix` and `suffix`, for the reader box_tokens"
            )


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("bbox", "").replace("-", "")


def _box(row: tuple[Any, ...]) -> list[float] | None:
    try:
        numbers = [float(value) for value in row]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
