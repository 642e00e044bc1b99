"""Choices: which of a row's own texts is right, written as its letter, its number or itself."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from unified_vl.kinds.hooks.cells import Cell, said, texts_of, whole_number
from unified_vl.kinds.hooks.options import written_options
from unified_vl.kinds.kind import AnyField, Kind, Reading, Rules
from unified_vl.parts import KeyPath, Name, Part, Problem

Written = Literal["letter", "number", "text"]


class ChoiceKeys(Part):
    """What a field says of choices."""

    of: Name | None = Field(
        default=None,
        description="Choices only, and mandatory there: the field with the texts to choose from.",
        examples=["options"],
    )
    write: Written | None = Field(
        default=None,
        description="Choices only: what is written, the letter (A, B, ...), the number (1, 2, ...) "
        "or the text that is chosen (letter).",
        examples=["letter"],
    )


class ChoiceKind(Kind):
    """The letter, the number or the text of a choice."""

    name = "choice"
    asks = False
    lists = False
    reads = ("first", "of", "write")
    beside = ("of",)
    mandatory = MappingProxyType({"of": "a field of kind 'text' with many: true"})
    may_lack = False

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, ChoiceKeys)
        if field.of is not None:
            yield from rules.beside((*place, "of"), field.of, ("text",))

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0}

    def read(self, cell: Cell, reading: Reading) -> tuple[str, ...]:
        options = texts_of(reading.beside(str(cell.field.of)))
        first = cell.field.first or 0
        number = whole_number(cell.value)
        if number is None or not first <= number < first + len(options):
            last = first + len(options) - 1
            raise cell.bad(f"found {said(cell.value)}", f"a number from {first} to {last}")
        place = number - first
        return (written_options(options, cell.field.write)[place],)
