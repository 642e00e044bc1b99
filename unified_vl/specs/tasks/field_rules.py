"""What the `fields` of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import names_where
from unified_vl.specs.reading.checks import RESERVED, named_slots, parse, repeated
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.choices import repeated_choice
from unified_vl.specs.tasks.fields import GENERAL, FieldSpec, as_one

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def field_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `fields`."""
    for name, field in spec.fields.items():
        place: KeyPath = ("fields", name)
        if name in RESERVED:
            yield Problem(place, f"{name!r} is a built-in name", expected="another name")
        yield from _column_problems(field, place)
        if field.many and not field.of_kind.lists:
            yield Problem(
                (*place, "many"),
                f"a field of kind {field.kind!r} holds one value",
                expected=f"many only for {one_of(names_where(lambda kind: kind.lists))}",
            )
        yield from _key_problems(field, place)
        if field.missing is not None:
            yield from _missing_problems(spec, name)
        yield from field.of_kind.problems(field, place, _Rules(spec))


class _Rules:
    """The spec, as the rules of a kind see it."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec

    @property
    def has_image(self) -> bool:
        return self._spec.image_field is not None or self._spec.regions_field is not None

    def beside(self, place: KeyPath, name: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
        fields = self._spec.fields
        other = fields.get(name)
        expected = f"a field of kind {one_of(kinds)} with many: true"
        if other is None:
            yield Problem(place, f"{name!r} is not a field", expected, nearest(name, fields))
        elif other.kind not in kinds or not other.many:
            found = f"a field of kind {other.kind!r}" if other.many else "one value"
            yield Problem(place, f"{name!r} is {found}", expected=expected)

    def one_beside(self, place: KeyPath, name: str, kind: str) -> Iterator[Problem]:
        fields = self._spec.fields
        other = fields.get(name)
        expected = f"a field of kind {kind}"
        if other is None:
            yield Problem(place, f"{name!r} is not a field", expected, nearest(name, fields))
        elif other.kind != kind or other.many:
            found = "a list" if other.many else f"a field of kind {other.kind!r}"
            yield Problem(place, f"{name!r} is {found}", expected=expected)

    def template(self, place: KeyPath, text: str, known: tuple[str, ...]) -> Iterator[Problem]:
        yield from parse(text, place, known)[1]

    def repeated(self, values: Sequence[str]) -> tuple[int, int] | None:
        return repeated_choice(values)


def _column_problems(field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    """That a value is in a column, or each of its numbers in one."""
    if field.columns is None:
        if not field.column:
            yield Problem((*place, "column"), "is missing", expected="text")
        yield from parse(field.column, (*place, "column"), ("language",))[1]
        return
    if field.column != as_one(field.columns):
        yield Problem(place, "found 'column' and 'columns'", expected="one of them")
    numbers = field.of_kind.numbers
    if numbers is None:
        return  # said of the key
    if len(field.columns) != numbers:
        found = f"found {len(field.columns)} columns"
        expected = f"{numbers} of a {field.kind}"
        yield Problem((*place, "columns"), found, expected=expected)
    yield from repeated((*place, "columns"), field.columns)
    if field.many:
        yield Problem((*place, "many"), "a row has one", expected="no `many` beside `columns`")


def _key_problems(field: FieldSpec, place: KeyPath) -> Iterator[Problem]:
    """Keys that say nothing about the kind, and those that it must have."""
    kind = field.of_kind
    own = () if kind.keys is None else tuple(kind.keys.model_fields)
    for attribute in (key for key in FieldSpec.model_fields if key not in GENERAL):
        given = attribute in field.model_fields_set and getattr(field, attribute) is not None
        key = attribute.rstrip("_")  # `as` is a word of Python
        if key in kind.mandatory and not given:
            message = f"is missing for a {field.kind}"
            yield Problem((*place, key), message, expected=kind.mandatory[key])
        if given and attribute not in (*kind.reads, *own):
            yield Problem((*place, key), f"has no effect with a field of kind {field.kind!r}")


def _missing_problems(spec: TaskSpec, name: str) -> Iterator[Problem]:
    """That a value which may be missing is only read, and that a row can do without it."""
    field, place = spec.fields[name], ("fields", name, "missing")
    if not field.of_kind.may_lack:
        yield Problem(place, f"has no effect with a field of kind {field.kind!r}")
    if field.missing != "allow":
        return
    example = spec.example
    mismatch = None if example.mismatch is None else example.mismatch.field
    others = [field for field in spec.fields.values() if name in field.beside]
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
