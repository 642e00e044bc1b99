"""What the templates and wordings of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.specs.checks import BUILT_INS, RESERVED, parse
from unified_vl.specs.document import KeyPath, Problem
from unified_vl.specs.fields import TEXTS
from unified_vl.specs.template import Template, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def wording_problems(spec: TaskSpec) -> Iterator[Problem]:
    for slot, texts in spec.wording.items():
        if slot in spec.fields or slot in RESERVED:
            what = "a field" if slot in spec.fields else "a built-in"
            yield Problem(("wording", slot), f"{slot!r} is also {what}", expected="another name")
        for language, text in texts.items():
            place = ("wording", slot, language)
            if language != "default" and language not in spec.data.languages:
                yield Problem(
                    place,
                    f"{language!r} is not among data.languages",
                    expected="a language of the task, or 'default'",
                    nearest=nearest(language, (*spec.data.languages, "default")),
                )
            if not text.strip():
                yield Problem(place, "is empty", expected="text")
            yield from parse(text, place, ("language_name",))[1]
        lacking = [tag for tag in spec.data.languages if tag not in texts]
        if lacking and "default" not in texts:
            yield Problem(
                ("wording", slot),
                f"has no text for {', '.join(lacking)}",
                expected="one for each language, or a 'default'",
            )


def template_problems(spec: TaskSpec) -> Iterator[Problem]:
    known = (*spec.fields, *spec.wording, *BUILT_INS)
    source, broken = parse(spec.example.source, ("example", "source"), known)
    target, broken_target = parse(spec.example.target, ("example", "target"), known)
    yield from broken
    yield from broken_target
    if broken or broken_target:
        return
    used = {*slots(source), *slots(target)}
    scored = {score.against for score in spec.score}
    beside = {name for f in spec.fields.values() for name in (f.labels, f.of) if name is not None}
    for name in spec.fields:
        if name not in used | scored | beside:
            yield Problem(("fields", name), "is never used", expected=f"{{{name}}} in a template")
    for name in spec.wording:
        if name not in used:
            yield Problem(("wording", name), "is never used", expected=f"{{{name}}} in a template")
    yield from _target_problems(spec, target)
    yield from _pick_problems(spec, used)
    if not any(name in spec.fields for name in slots(source)):
        yield Problem(("example", "source"), "holds no field, so every row would read the same")


def _target_problems(spec: TaskSpec, target: Template) -> Iterator[Problem]:
    place: KeyPath = ("example", "target")
    named = slots(target)
    if not any(name in spec.fields for name in named):
        yield Problem(place, "holds no field, so every row would write the same")
    for name in named:
        kind = spec.fields[name].kind if name in spec.fields else "text"
        if name in ("language", "task") or kind in ("image", "language"):
            yield Problem(place, f"{{{name}}} cannot be written", expected="text or shapes")


def _pick_problems(spec: TaskSpec, used: set[str]) -> Iterator[Problem]:
    for name in spec.example.pick:
        place: KeyPath = ("example", "pick", name)
        if name not in spec.fields:
            yield Problem(place, "is not a field", nearest=nearest(name, spec.fields))
        elif not spec.fields[name].many:
            yield Problem(place, "holds one value only", expected="a field with many: true")
    for name, field in spec.fields.items():
        listed = field.many and field.kind in TEXTS
        if listed and name in used and name not in spec.example.pick:
            yield Problem(
                ("example", "pick"),
                f"{name!r} holds many texts and nothing says which one to take",
                expected=f"pick: {{{name}: random}} or {{{name}: first}}",
            )
