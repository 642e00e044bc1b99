"""What the names of classes must obey, of whatever kind the field is that has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from unified_vl.parts import KeyPath, Problem

if TYPE_CHECKING:
    from unified_vl.kinds.kind import Rules


def names_problems(names: Any, place: KeyPath, rules: Rules) -> Iterator[Problem]:
    """What is wrong with a `NamesSpec`: one of its keys, a template of a file, no name twice."""
    if (names.file is None) == (names.values is None):
        found = "'file' and 'values'" if names.file is not None else "none"
        yield Problem(place, f"found {found}", expected="one of 'file' and 'values'")
    if names.file is not None:
        yield from rules.template((*place, "file"), names.file, ("language",))
    repeated = rules.repeated(names.values or ())
    if repeated:
        again, first = repeated
        yield Problem((*place, "values", again), f"is also number {first + 1} of the list")
