"""What a task spec must obey beyond the types of its keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.specs.document import KeyPath, Problem, one_of
from unified_vl.specs.generate_rules import generate_problems
from unified_vl.specs.score_rules import score_problems
from unified_vl.specs.template import Template, TemplateError, parse_template, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec

BUILT_INS = ("language", "language_name", "task")
RESERVED = (*BUILT_INS, "key")  # a row of predictions has these beside its fields


def task_problems(spec: TaskSpec) -> list[Problem]:
    """Everything that is wrong with a spec whose types are right."""
    return [
        *_data_problems(spec),
        *_field_problems(spec),
        *_wording_problems(spec),
        *_template_problems(spec),
        *score_problems(spec),
        *generate_problems(spec),
        *_repeated(("report_by",), spec.report_by),
    ]


def _data_problems(spec: TaskSpec) -> Iterator[Problem]:
    data = spec.data
    used, broken = _parse(data.path, ("data", "path"), ("split", "language"))
    yield from broken
    for place, text in [
        (("data", "path"), data.path),
        *((("data", "splits", name), value) for name, value in data.splits.items()),
    ]:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts:
            yield Problem(place, f"{text!r} leaves the data root", expected="a path below it")
    if not broken and "split" not in slots(used) and len(set(data.splits.values())) > 1:
        yield Problem(
            ("data", "path"),
            f"{data.path!r} is the same file for every split",
            expected="{split} in it",
        )
    yield from _repeated(("data", "languages"), data.languages)
    in_path = "language" in slots(used)
    if len(data.languages) > 1 and not in_path and data.language_column is None:
        yield Problem(
            ("data", "languages"),
            f"nothing tells which of {len(data.languages)} languages a row is in",
            expected="language_column, or {language} in path",
        )


def _field_problems(spec: TaskSpec) -> Iterator[Problem]:
    for name, field in spec.fields.items():
        place: KeyPath = ("fields", name)
        if name in RESERVED:
            yield Problem(place, f"{name!r} is a built-in name", expected="another name")
        yield from _parse(field.column, (*place, "column"), ("language",))[1]
        if field.many and field.kind not in ("text", "box"):
            yield Problem(
                (*place, "many"),
                f"a field of kind {field.kind!r} holds one value",
                expected="many only for 'text' and 'box'",
            )
        for key in ("layout", "units"):
            value = getattr(field, key)
            if field.kind == "box" and value is None:
                known = ("xyxy", "xywh") if key == "layout" else ("pixels", "relative")
                yield Problem((*place, key), "is missing for a box", expected=one_of(known))
            if field.kind != "box" and value is not None:
                yield Problem((*place, key), f"says nothing about a field of kind {field.kind!r}")
        if field.kind == "box" and field.units == "pixels" and spec.image_field is None:
            yield Problem(
                (*place, "units"), "pixels of what?", expected="a field of kind 'image' beside it"
            )


def _wording_problems(spec: TaskSpec) -> Iterator[Problem]:
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
            yield from _parse(text, place, ("language_name",))[1]
        lacking = [tag for tag in spec.data.languages if tag not in texts]
        if lacking and "default" not in texts:
            yield Problem(
                ("wording", slot),
                f"has no text for {', '.join(lacking)}",
                expected="one for each language, or a 'default'",
            )


def _template_problems(spec: TaskSpec) -> Iterator[Problem]:
    known = (*spec.fields, *spec.wording, *BUILT_INS)
    source, broken = _parse(spec.example.source, ("example", "source"), known)
    target, broken_target = _parse(spec.example.target, ("example", "target"), known)
    yield from broken
    yield from broken_target
    if broken or broken_target:
        return
    used = {*slots(source), *slots(target)}
    scored = {score.against for score in spec.score}
    for name in spec.fields:
        if name not in used and name not in scored:
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
            yield Problem(place, f"{{{name}}} cannot be written", expected="text or boxes")


def _pick_problems(spec: TaskSpec, used: set[str]) -> Iterator[Problem]:
    for name in spec.example.pick:
        place: KeyPath = ("example", "pick", name)
        if name not in spec.fields:
            yield Problem(place, "is not a field", nearest=nearest(name, spec.fields))
        elif not spec.fields[name].many:
            yield Problem(place, "holds one value only", expected="a field with many: true")
    for name, field in spec.fields.items():
        if field.many and field.kind == "text" and name in used and name not in spec.example.pick:
            yield Problem(
                ("example", "pick"),
                f"{name!r} holds many texts and nothing says which one to take",
                expected=f"pick: {{{name}: random}} or {{{name}: first}}",
            )


def _parse(text: str, place: KeyPath, known: Iterable[str]) -> tuple[Template, list[Problem]]:
    """The template, and what is wrong with it (an empty template then)."""
    names = list(dict.fromkeys(known))
    try:
        template = parse_template(text)
    except TemplateError as error:
        return (), [Problem(place, str(error), expected="{name}, or {{ and }} for braces")]
    unknown = [name for name in slots(template) if name not in names]
    problems = [
        Problem(
            place,
            f"unknown slot {{{name}}}",
            expected=", ".join(f"{{{n}}}" for n in names),
            nearest=nearest(name, names),
        )
        for name in unknown
    ]
    return ((), problems) if problems else (template, [])


def _repeated(place: KeyPath, values: Iterable[str]) -> Iterator[Problem]:
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(place, f"{value!r} is listed {count} times")
