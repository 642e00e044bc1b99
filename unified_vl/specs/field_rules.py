"""What the `fields` of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from unified_vl.errors import nearest
from unified_vl.specs.checks import RESERVED, named_slots, parse, repeated
from unified_vl.specs.choices import repeated_choice
from unified_vl.specs.document import KeyPath, Problem, one_of
from unified_vl.specs.fields import LISTS, SHAPES, FieldSpec, Layout, as_one

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec

ONLY_FOR = {  # a key of a field, and the kinds that it says something about
    "as_": ("image",),
    "layout": ("box",),
    "units": SHAPES,
    "columns": ("box", "point"),
    "size": SHAPES,
    "orientation": SHAPES,
    "clip": SHAPES,
    "empty": SHAPES,
    "labels": ("box",),
    "decimals": ("number",),
    "names": ("label",),
    "first": ("label", "choice"),
    "of": ("choice",),
    "write": ("choice",),
}
MANDATORY = {
    "layout": one_of(get_args(Layout)),
    "units": one_of(("pixels", "relative")),
    "names": "{file: NAME.txt} or {values: [...]}",
    "of": "a field of kind 'text' with many: true",
}

_NUMBERS = {"box": 4, "point": 2}  # of a shape


def field_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `fields`."""
    for name, field in spec.fields.items():
        place: KeyPath = ("fields", name)
        if name in RESERVED:
            yield Problem(place, f"{name!r} is a built-in name", expected="another name")
        yield from _column_problems(field, place)
        if field.many and field.kind not in LISTS:
            yield Problem(
                (*place, "many"),
                f"a field of kind {field.kind!r} holds one value",
                expected=f"many only for {one_of(LISTS)}",
            )
        yield from _key_problems(field, place)
        if field.missing is not None:
            yield from _missing_problems(spec, name)
        if field.kind in SHAPES and field.units == "pixels" and spec.image_field is None:
            yield Problem(
                (*place, "units"), "pixels of what?", expected="a field of kind 'image' beside it"
            )
        if field.kind in SHAPES:
            yield from _shape_problems(spec, field, place)
        if field.names is not None:
            yield from _names_problems(field, (*place, "names"))
        if field.labels is not None:
            yield from _beside(spec, (*place, "labels"), field.labels, ("text", "label"))
            if not field.many:
                expected = "many: true, a label a box"
                yield Problem((*place, "many"), "one box has no list of labels", expected=expected)
        if field.of is not None:
            yield from _beside(spec, (*place, "of"), field.of, ("text",))


def _column_problems(field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    """That a value is in a column, or each of its numbers in one."""
    if field.columns is None:
        if not field.column:
            yield Problem((*place, "column"), "is missing", expected="text")
        yield from parse(field.column, (*place, "column"), ("language",))[1]
        return
    if field.column != as_one(field.columns):
        yield Problem(place, "found 'column' and 'columns'", expected="one of them")
    if field.kind not in _NUMBERS:
        return  # said of the key
    if len(field.columns) != _NUMBERS[field.kind]:
        found = f"found {len(field.columns)} columns"
        expected = f"{_NUMBERS[field.kind]} of a {field.kind}"
        yield Problem((*place, "columns"), found, expected=expected)
    yield from repeated((*place, "columns"), field.columns)
    if field.many:
        yield Problem((*place, "many"), "a row has one", expected="no `many` beside `columns`")


def _shape_problems(spec: TaskSpec, field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    """That what is said of shapes has a meaning."""
    if field.size is not None and field.units != "pixels":
        yield Problem((*place, "size"), "says nothing of fractions", expected="units: pixels")
    if field.orientation is not None and spec.image_field is None:
        expected = "a field of kind 'image' beside it"
        yield Problem((*place, "orientation"), "of what image?", expected=expected)
    if field.empty is not None and not field.many:
        yield Problem((*place, "empty"), "one value is never none", expected="many: true")


def _key_problems(field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    """Keys that say nothing about the kind, and those that it must have."""
    for attribute, kinds in ONLY_FOR.items():
        given = getattr(field, attribute) is not None
        key = attribute.rstrip("_")  # `as` is a word of Python
        if field.kind in kinds and not given and key in MANDATORY:
            message = f"is missing for a {field.kind}"
            yield Problem((*place, key), message, expected=MANDATORY[key])
        if field.kind not in kinds and given:
            yield Problem((*place, key), f"has no effect with a field of kind {field.kind!r}")


def _missing_problems(spec: TaskSpec, name: str) -> Iterator[Problem]:
    """That a value which may be missing is only read, and that a row can do without it."""
    field, place = spec.fields[name], ("fields", name, "missing")
    if field.kind in ("language", "choice"):
        yield Problem(place, f"has no effect with a field of kind {field.kind!r}")
    if field.missing != "allow":
        return
    example = spec.example
    mismatch = None if example.mismatch is None else example.mismatch.field
    others = [f for f in spec.fields.values() if name in (f.labels, f.of)]
    uses = {
        "is written": name in _written(spec),
        "is scored": any(score.against == name for score in spec.score),
        "is noised": name in example.noise,
        "is exchanged": name == mismatch,
        "stands beside another field": bool(others),
    }
    for use in (use for use, found in uses.items() if found):
        yield Problem(place, f"{name!r} {use}, so it cannot be missing", expected="drop")
        return


def _written(spec: TaskSpec) -> set[str]:
    """The fields of the target, also those within joins."""
    names, joins = named_slots(spec.example.target), spec.example.join
    within = {n: named_slots(joins[n].each) if n in joins else [n] for n in names}
    return {name for several in within.values() for name in several}


def _names_problems(field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    assert field.names is not None
    if (field.names.file is None) == (field.names.values is None):
        found = "'file' and 'values'" if field.names.file is not None else "none"
        yield Problem(place, f"found {found}", expected="one of 'file' and 'values'")
    if field.names.file is not None:
        yield from parse(field.names.file, (*place, "file"), ("language",))[1]
    repeated = repeated_choice(field.names.values or ())
    if repeated:
        again, first = repeated
        yield Problem((*place, "values", again), f"is also number {first + 1} of the list")


def _beside(spec: TaskSpec, place: KeyPath, name: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
    """That `name` is a list of one of these kinds."""
    other = spec.fields.get(name)
    expected = f"a field of kind {one_of(kinds)} with many: true"
    if other is None:
        yield Problem(place, f"{name!r} is not a field", expected, nearest(name, spec.fields))
    elif other.kind not in kinds or not other.many:
        found = f"a field of kind {other.kind!r}" if other.many else "one value"
        yield Problem(place, f"{name!r} is {found}", expected=expected)
