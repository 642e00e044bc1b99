"""One value of a row, read as what its field says that it is: texts, numbers, places."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeGuard

from unified_vl.data.readers.table import NO_TEXT, is_utf8
from unified_vl.data.row import Row
from unified_vl.errors import BadRow
from unified_vl.specs.fields import FieldSpec

Size = tuple[int, int]  # (width, height) in pixels of the user's image


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a row with all that a message about it says."""

    row: Row
    name: str
    column: str
    field: FieldSpec
    value: object
    may_be_empty: bool

    def bad(self, message: str, expected: str | None = None, nearest: str | None = None) -> BadRow:
        return BadRow(
            message, file=self.row.where, field=self.column, expected=expected, nearest=nearest
        )


def items_of(cell: Cell) -> Sequence[Any]:
    """The values of a field: one, or those of its list."""
    if not cell.field.many:
        return (cell.value,)
    value = unpacked(cell.value)
    if not isinstance(value, (list, tuple)):
        raise cell.bad(f"found {said(value)}", "a list, for many: true")
    if not value and not cell.may_be_empty:
        shapes = cell.field.writing == "places"
        more = ", or empty: true of the field" if shapes else ""
        raise cell.bad("is an empty list", f"at least one value{more}")
    return value


def texts_of(cell: Cell) -> tuple[str, ...]:
    texts = []
    for item in items_of(cell):
        if not isinstance(item, str) and not _is_number(item):
            raise cell.bad(f"found {said(item)}", "text")
        text = str(item).strip()
        if not is_utf8(text):
            raise cell.bad(NO_TEXT.message, "text")
        if not text:
            raise cell.bad("is empty", "text")
        texts.append(text)
    return tuple(texts)


def numbers_of(cell: Cell) -> tuple[str, ...]:
    """Numbers as they are written: with the field's digits behind the point."""
    digits = cell.field.decimals or 0
    found = []
    for item in items_of(cell):
        try:
            number = float(item) if isinstance(item, str) or _is_number(item) else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise cell.bad(f"found {said(item)}", "a number")
        text = f"{number:.{digits}f}"
        found.append(text.removeprefix("-") if float(text) == 0 else text)
    return tuple(found)


def chosen(cell: Cell, options: Sequence[str]) -> str:
    """The letter, the number or the text of a choice."""
    first = cell.field.first or 0
    number = whole_number(cell.value)
    if number is None or not first <= number < first + len(options):
        last = first + len(options) - 1
        raise cell.bad(f"found {said(cell.value)}", f"a number from {first} to {last}")
    place = number - first
    if cell.field.write == "text":
        return options[place]
    return str(place + 1) if cell.field.write == "number" else letter(place)


def letter(place: int) -> str:
    """A for 0, B for 1, ..., AA for 26."""
    text = ""
    while place >= 0:
        place, digit = divmod(place, 26)
        text, place = chr(ord("A") + digit) + text, place - 1
    return text


def list_of_numbers(value: object) -> list[float] | None:
    """The numbers of a list, one pair of brackets less where points are pairs; else None."""
    value = unpacked(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    flat = [n for item in value for n in (item if isinstance(item, (list, tuple)) else (item,))]
    if flat and all(isinstance(v, str) for v in flat):
        flat = [_as_number(v) for v in flat]
    if not all(_is_number(v) for v in flat):
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
    return int(value) if _is_number(value) and value == int(value) else None


def unpacked(value: Any) -> Any:
    """A list out of a cell of CSV, which holds it as JSON; else the value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    kinds = (int, float, Decimal)  # the latter of Arrow and Parquet
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)


def said(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
