"""What `data.splits` of a task spec must obey: names, or shares that are told apart by a column."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from unified_vl.readers.registry import READERS
from unified_vl.specs.reading.checks import named_slots
from unified_vl.specs.reading.document import KeyPath, Problem

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def share_problems(spec: TaskSpec, used: Collection[str]) -> Iterator[Problem]:
    """What is wrong with `splits`.

    Args:
        spec: the task.
        used: the slots of the paths of its data.
    """
    data, splits = spec.data, spec.data.splits_
    place: KeyPath = ("data", "splits")
    if splits.fraction is None:
        if not data.splits:
            yield Problem(place, "names no split", expected="train, validation or test")
        if splits.by is not None:
            yield Problem((*place, "by"), "has no effect without fraction")
        return
    named = [name for name in ("train", "validation", "test") if getattr(splits, name) is not None]
    others = {
        f"splits.{named[0]}" if named else "": bool(named),
        "split_column": data.split_column is not None,
        "{split} in path": "split" in used,
        f"the reader {data.reader!r}, whose files have splits": READERS[data.reader].own_splits,
    }
    for how in (how for how, given in others.items() if given):
        expected = "one of the two"
        yield Problem((*place, "fraction"), f"has no effect with {how}", expected=expected)
    whole = sum(Fraction(str(share)) for share in splits.fraction.values())
    if whole != 1:
        message = f"the shares are {float(whole):g} together"
        yield Problem((*place, "fraction"), message, expected="1")
    if spec.split_by is None:
        message = "is missing, and there is no image and no key_column"
        yield Problem((*place, "by"), message, expected="the column that decides")
    elif "language" in named_slots(spec.split_by):
        message = f"is missing, and {spec.split_by!r} is several columns"
        yield Problem((*place, "by"), message, expected="the column that decides")
