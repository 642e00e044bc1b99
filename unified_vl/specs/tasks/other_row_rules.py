"""What `example.shots` and `example.mismatch` of a task spec, which take other rows, must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import names_where
from unified_vl.specs.reading.checks import RESERVED, named_slots
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.example import SHOTS

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def shots_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `example.shots`."""
    if spec.example.shots is None:
        return
    place: KeyPath = ("example", "shots")
    if "train" not in spec.data.splits:
        yield Problem(place, "takes rows of the train split", expected="'train' in data.splits")
    if SHOTS in spec.fields or SHOTS in spec.wording:
        yield Problem(place, f"{SHOTS!r} is also another slot", expected="another name for that")
    if spec.example.noise:
        yield Problem(place, "has no effect with noise", expected="one of 'shots' and 'noise'")
    each = named_slots(spec.example.shots.each)
    if not any(name in spec.fields or name in spec.example.join for name in each):
        yield Problem((*place, "each"), "holds no field, so all shots would read the same")


def mismatch_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `example.mismatch`."""
    mismatch = spec.example.mismatch
    if mismatch is None:
        return
    place: KeyPath = ("example", "mismatch")
    field = spec.fields.get(mismatch.field)
    if field is None:
        close = nearest(mismatch.field, spec.fields)
        message = f"{mismatch.field!r} is not a field"
        yield Problem((*place, "field"), message, one_of(spec.fields), close)
    elif not field.of_kind.exchanged:
        message = f"{mismatch.field!r} is a field of kind {field.kind!r}"
        exchanged = names_where(lambda kind: kind.exchanged)
        yield Problem((*place, "field"), message, expected=f"kind {one_of(exchanged)}")
    elif mismatch.field not in named_slots(spec.example.source):
        message = f"{{{mismatch.field}}} is not in example.source"
        yield Problem((*place, "field"), message, expected="a field that the model reads")
    elif mismatch.field in spec.example.noise:
        yield Problem((*place, "field"), f"{mismatch.field!r} is noised", expected="another field")
    taken = (*spec.fields, *spec.wording, *spec.example.join, *RESERVED, SHOTS)
    if mismatch.slot in taken:
        message = f"{mismatch.slot!r} is also another slot"
        yield Problem((*place, "slot"), message, expected="another name")
    if mismatch.right == mismatch.wrong:
        message = f"found {mismatch.wrong!r}, as in 'right'"
        yield Problem((*place, "wrong"), message, expected="another text")
