"""What `example.noise` of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import KINDS
from unified_vl.specs.reading.checks import named_slots
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.example import NoiseSpec

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec

ONLY_FOR = {  # a key of `noise`, and the kinds that read it
    "rate": ("span_corruption", "masking", "code_switch", "code_masking"),
    "mean_span": ("span_corruption",),
    "dictionary": ("code_switch",),
    "languages": ("code_switch",),
}


def noise_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `example.noise`."""
    source, target = named_slots(spec.example.source), named_slots(spec.example.target)
    joined = {
        name: key for key, join in spec.example.join.items() for name in named_slots(join.each)
    }
    for name, noise in spec.example.noise.items():
        place: KeyPath = ("example", "noise", name)
        field = spec.fields.get(name)
        if field is None:
            close = nearest(name, spec.fields)
            yield Problem(place, "is not a field", one_of(spec.fields), close)
            continue
        wanted = [kind.name for kind in KINDS.values() if noise.kind in kind.noises]
        if field.kind not in wanted:
            found = f"is a field of kind {field.kind!r}"
            yield Problem(place, found, expected=f"a field of kind {one_of(wanted)}")
        if name in joined:
            yield Problem(place, f"is within the join {joined[name]!r}", expected="another field")
        for where, named in (("source", source), ("target", target)):
            if named.count(name) != 1:
                times = f"{named.count(name)} times" if name in named else "not"
                message = f"{{{name}}} is {times} in example.{where}"
                yield Problem(place, message, expected="once in the source and once in the target")
        yield from _kind_problems(noise, place)


def _kind_problems(noise: NoiseSpec, place: KeyPath) -> Iterator[Problem]:
    for key, kinds in ONLY_FOR.items():
        if getattr(noise, key) is not None and noise.kind not in kinds:
            expected = f"kind: {' or '.join(kinds)}"
            yield Problem((*place, key), f"has no effect with {noise.kind}", expected=expected)
    if noise.kind == "span_corruption" and noise.share == 1:
        yield Problem((*place, "rate"), "found 1", expected="less than 1, or nothing is left")
    if noise.kind != "code_switch":
        return
    if noise.dictionary is None:
        expected = "{file: NAME.tsv}"
        yield Problem((*place, "dictionary"), "is missing for code_switch", expected=expected)
        return
    path = PurePosixPath(noise.dictionary.file)
    if path.is_absolute() or ".." in path.parts:
        yield Problem(
            (*place, "dictionary", "file"),
            f"{noise.dictionary.file!r} leaves the spec's folder",
            expected="a path below it",
        )
