"""Labels: classes, each with a number in the data and a name that is written."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from pydantic import Field

from unified_vl.errors import nearest
from unified_vl.kinds.hooks.cells import Cell, items_of, said, whole_number
from unified_vl.kinds.hooks.class_names import names_problems
from unified_vl.kinds.kind import AnyField, Kind, Reading, Rules
from unified_vl.parts import KeyPath, Part, Problem


class NamesSpec(Part):
    """The names of a label's classes, in the order of their numbers: exactly one of the keys."""

    file: str | None = Field(
        default=None,
        min_length=1,
        description="A text file, a name a line, relative to the spec and below its folder; may "
        "contain {language}.",
        examples=["classes_{language}.txt"],
    )
    values: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="The names themselves.", examples=[["cat", "dog"]]
    )


class LabelKeys(Part):
    """What a field says of labels; choices are counted in the same way."""

    names: NamesSpec | None = Field(
        default=None,
        description="Labels only, and mandatory there: the names of the classes.",
        examples=[{"file": "classes.txt"}],
    )
    first: int | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Labels and choices only: the lowest number (0).",
        examples=[1],
    )


class LabelKind(Kind):
    """The name of a class."""

    name = "label"
    asks = False
    closed = True
    reads = ("names", "first")
    mandatory = MappingProxyType({"names": "{file: NAME.txt} or {values: [...]}"})

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, LabelKeys)
        if field.names is None:
            return  # which is said of a mandatory key
        yield from names_problems(field.names, (*place, "names"), rules)

    def read(self, cell: Cell, reading: Reading) -> tuple[str, ...]:
        """Names of classes, from their numbers or as they are."""
        names = reading.class_names(cell.name)
        first = cell.field.first or 0
        found = []
        for item in items_of(cell):
            number = whole_number(item)
            if number is not None and first <= number < first + len(names):
                found.append(names[number - first])
            elif isinstance(item, str) and item.strip() in names:
                found.append(item.strip())
            else:
                expected = f"{first} to {first + len(names) - 1}, or a name of a class"
                close = nearest(str(item), names) if isinstance(item, str) else None
                raise cell.bad(f"found {said(item)}", expected, close)
        return tuple(found)
