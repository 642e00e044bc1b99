"""Numbers, written in digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from unified_vl.kinds.hooks.automata import DIGITS, Some, Spelling
from unified_vl.kinds.hooks.cells import Cell, is_number, items_of, said
from unified_vl.kinds.hooks.drafts import Draft, Recognised, are_classes
from unified_vl.kinds.kind import Kind, Reading
from unified_vl.parts import Part

_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.\d+)?")
MOST_DECIMALS = 9
_CLASS = re.compile(r"(?:^|_)(?:label|class|category|target|y)(?:_|$)")


class NumberKeys(Part):
    """What a field says of numbers."""

    decimals: int | None = Field(
        default=None,
        ge=0,
        le=MOST_DECIMALS,
        description="Numbers only: digits behind the point (0).",
        examples=[1],
    )


class NumberKind(Kind):
    """A number with so many digits behind its point."""

    name = "number"
    allows = ("number",)
    reads = ("decimals",)

    def draft(self, name: str, many: bool, labelled: bool) -> Draft:
        metrics = ("mean_absolute_error", "exact_match")
        return Draft(metrics, "number", 16, f"What is its {name.replace('_', ' ')}?")

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        """Numbers, unless they seem to be those of classes, which words would say better."""
        if not all(map(is_number, values)):
            return None
        whole = all(value == int(value) for value in values)
        if whole and _CLASS.search(column) and are_classes(values):
            return None
        digits = max(map(_decimals, values))
        return Recognised({"decimals": (str(digits),)} if digits else {})

    def automaton(self, form: Any) -> Spelling:
        digits = form.decimals
        behind = (Some("."), Some(DIGITS, digits, digits)) if digits else ()
        return Spelling(Some("-", 0), Some(DIGITS, 1, None), *behind)

    def heard(self, text: str, form: Any) -> str | None:
        """The last number of a text, behind a reasoning; 1,000 and 1 000 are one number."""
        found = _NUMBER.findall(text)
        if not found:
            return None
        number = float(re.sub(r"[,\s]", "", found[-1]))
        written = f"{number:.{form.decimals}f}"
        return written.removeprefix("-") if float(written) == 0 else written

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "number"}

    def read(self, cell: Cell, reading: Reading) -> tuple[str, ...]:
        digits = cell.field.decimals or 0
        found = []
        for item in items_of(cell):
            try:
                number = float(item) if isinstance(item, str) or is_number(item) else math.nan
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise cell.bad(f"found {said(item)}", "a number")
            text = f"{number:.{digits}f}"
            found.append(text.removeprefix("-") if float(text) == 0 else text)
        return tuple(found)


def _decimals(value: float) -> int:
    """How many digits behind the point a number has."""
    text = "" if isinstance(value, int) else f"{value:f}".rstrip("0")
    return min(MOST_DECIMALS, len(text.partition(".")[2]))
