"""One value of a row, and what every kind may need to read it: lists, texts, numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeGuard

from unified_vl.errors import BadRow

Size = tuple[int, int]  # (width, height) in pixels of the user's image


class AnyRow(Protocol):
    """A row of data, as a kind sees it."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """Its values by column."""

    @property
    def where(self) -> str:
        """`file:row`, for messages."""

    def named(self, column: str) -> str:
        """What whoever gave the values of a column calls it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a row with all that a message about it says.

    Attributes:
        row: the row.
        name: of the field.
        column: that it is in.
        field: what the spec says of it; the keys of its kind are attributes.
        value: as its file has it.
        may_be_empty: whether a list of nothing is right.
    """

    row: AnyRow
    name: str
    column: str
    field: Any
    value: object
    may_be_empty: bool

    @property
    def called(self) -> str:
        """What whoever gave the value calls its place, for messages."""
        return self.row.named(self.column)

    def bad(self, message: str, expected: str | None = None, nearest: str | None = None) -> BadRow:
        return BadRow(
            message, file=self.row.where, field=self.called, expected=expected, nearest=nearest
        )


def items_of(cell: Cell, or_else: str = "") -> Sequence[Any]:
    """The values of a field: one, or those of its list.

    Args:
        cell: the field's.
        or_else: what else an empty list could be expected to have, for the message.
    """
    if not cell.field.many:
        return (cell.value,)
    value = unpacked(cell.value)
    if not isinstance(value, (list, tuple)):
        raise cell.bad(f"found {said(value)}", "a list, for many: true")
    if not value and not cell.may_be_empty:
        raise cell.bad("is an empty list", f"at least one value{or_else}")
    return value


def texts_of(cell: Cell) -> tuple[str, ...]:
    """The texts of a field; numbers are texts too."""
    texts = []
    for item in items_of(cell):
        if not isinstance(item, str) and not is_number(item):
            raise cell.bad(f"found {said(item)}", "text")
        text = str(item).strip()
        try:
            text.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise cell.bad("is not UTF-8 text", "text") from error
        if not text:
            raise cell.bad("is empty", "text")
        texts.append(text)
    return tuple(texts)


def list_of_numbers(value: object) -> list[float] | None:
    """The numbers of a list, one pair of brackets less where points are pairs; else None."""
    value = unpacked(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    flat = [n for item in value for n in (item if isinstance(item, (list, tuple)) else (item,))]
    if flat and all(isinstance(v, str) for v in flat):
        flat = [_as_number(v) for v in flat]
    if not all(is_number(v) for v in flat):
        return None
    return [float(v) if isinstance(v, Decimal) else v for v in flat]


def _as_number(text: str) -> float | None:
    """The number that a text is, as cells of CSV have it."""
    try:
        return float(text)
    except ValueError:
        return None


def whole_number(value: object) -> int | None:
    """A whole number, also as a cell of CSV has it."""
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    return int(value) if is_number(value) and value == int(value) else None


def unpacked(value: Any) -> Any:
    """A list out of a cell of CSV, which holds it as JSON; else the value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def is_number(value: object) -> TypeGuard[int | float | Decimal]:
    kinds = (int, float, Decimal)  # the latter of Arrow and Parquet
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)


def said(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
