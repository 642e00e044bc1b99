"""Boxes and other places that columns of a table hold: a number each, or one their tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from unified_vl.authoring.drafting.files.samples import Columns
from unified_vl.kinds.registry import KINDS
from unified_vl.readers.annotation_tools.box_tokens import kind_of
from unified_vl.specs.tasks.fields import as_one

Joined = dict[str, tuple[tuple[str, ...], Mapping[str, str]]]


def with_joined(columns: Columns) -> tuple[Columns, Joined]:
    """The columns with one in place of those of the numbers of a value, such as the sides of a
    box: what it is made of, and what its field says then.

    It is called as the spec's key `columns` makes it; there is none where no columns are called
    as some kind's numbers are, or they hold something else than numbers.
    """
    plain = {_plain(name): name for name in columns}
    called = (each for kind in KINDS.values() for each in kind.number_columns)
    for sides, said in called:
        if not set(sides) <= set(plain):
            continue
        names = tuple(plain[side] for side in sides)
        rows = list(zip(*(columns[name] for name in names), strict=True))
        numbers = [_numbers(row) for row in rows]
        if any(each is None for each in numbers):
            continue
        name = as_one(names)
        rest = {n: cells for n, cells in columns.items() if n not in names}
        return {**rest, name: numbers}, {name: (names, said)}
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


def _numbers(row: tuple[Any, ...]) -> list[float] | None:
    try:
        numbers = [float(value) for value in row]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
