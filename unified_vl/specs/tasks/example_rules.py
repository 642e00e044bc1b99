"""What the templates and wordings of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import written_in
from unified_vl.languages.tags import find, nearest_tag
from unified_vl.specs.reading.checks import BUILT_INS, RESERVED, parse, same_languages
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.example import BESIDE_A_JOIN, SHOTS
from unified_vl.specs.tasks.template import Slot, Template, slots

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def wording_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `wording`."""
    for slot, texts in spec.wording.items():
        if slot in spec.fields or slot in RESERVED:
            what = "a field" if slot in spec.fields else "a built-in"
            yield Problem(("wording", slot), f"{slot!r} is also {what}", expected="another name")
        yield from same_languages(("wording", slot), texts)
        for language, several in texts.items():
            place = ("wording", slot, language)
            if language != "default" and find(language, spec.data.languages) is None:
                yield Problem(
                    place,
                    f"{language!r} is not among data.languages",
                    expected="a language of the task, or 'default'",
                    nearest=nearest_tag(language, (*spec.data.languages, "default")),
                )
            if not several:
                yield Problem(place, "found an empty list", expected="a text, or a list of texts")
            for text in several:
                if not text.strip():
                    yield Problem(place, "is empty", expected="text")
                yield from parse(text, place, ("language_name",))[1]
        lacking = [tag for tag in spec.data.languages if find(tag, texts) is None]
        if lacking and "default" not in texts:
            yield Problem(
                ("wording", slot),
                f"has no text for {', '.join(lacking)}",
                expected="one for each language, or a 'default'",
            )


def template_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with the templates: unknown, unused and misplaced slots."""
    example = spec.example
    known = (*spec.fields, *spec.wording, *example.join, *BUILT_INS)
    matches = () if example.mismatch is None else (example.mismatch.slot,)
    shots = () if example.shots is None else (SHOTS,)
    source, broken = parse(example.source, ("example", "source"), (*known, *shots, *matches))
    target, broken_target = parse(example.target, ("example", "target"), (*known, *matches))
    shot: Template = ()
    broken_shot: list[Problem] = []
    if example.shots is not None:
        place: KeyPath = ("example", "shots", "each")
        shot, broken_shot = parse(example.shots.each, place, (*known, *matches))
    prompt, broken_prompt = parse(
        example.prompt or example.source, ("example", "prompt"), (*known, *shots)
    )
    if example.prompt is None:
        broken_prompt = []
    yield from (*broken, *broken_target, *broken_shot, *broken_prompt)
    if broken or broken_target or broken_shot or broken_prompt:
        return
    for name in slots(shot):
        if name in spec.fields and spec.fields[name].of_kind.has_features:
            expected = "a shot of other fields"
            yield Problem(("example", "shots", "each"), f"shows the regions {name!r}", expected)
    direct = {*slots(source), *slots(target), *slots(shot), *slots(prompt)}
    joined, broken_joins = _joined(spec, direct)
    yield from broken_joins
    if broken_joins:
        return
    yield from _unused_problems(spec, direct, joined)
    yield from _target_problems(spec, target)
    yield from _pick_problems(spec, direct)
    yield from _drop_problems(spec, source)
    if shots and SHOTS not in slots(source):
        place = ("example", "shots")
        yield Problem(place, "is never used", expected=f"{{{SHOTS}}} in example.source")
    if matches and matches[0] in slots(source):
        message = f"{{{matches[0]}}} gives the answer away"
        yield Problem(("example", "source"), message, expected="it in example.target alone")
    if matches and matches[0] not in slots(target):
        place = ("example", "mismatch")
        yield Problem(place, "is never used", expected=f"{{{matches[0]}}} in example.target")
    own = {*slots(source), *slots(shot)}
    for name in slots(prompt):
        if name in slots(target) and name in spec.fields and name not in own:
            message = f"{{{name}}} gives the answer away"
            yield Problem(("example", "prompt"), message, expected="what example.source reads")
    for key, template in (("source", source), ("prompt", prompt)):
        if getattr(example, key) is not None and not any(
            name in spec.fields or name in example.join for name in slots(template)
        ):
            yield Problem(("example", key), "holds no field, so every row would read the same")


def _joined(spec: TaskSpec, direct: set[str]) -> tuple[set[str], list[Problem]]:
    """What joins name, and what is wrong with joins."""
    names: set[str] = set()
    problems: list[Problem] = []
    for name, join in spec.example.join.items():
        place: KeyPath = ("example", "join", name)
        if name in spec.fields or name in spec.wording or name in (*RESERVED, SHOTS):
            problems.append(Problem(place, f"{name!r} is also another slot", "another name"))
        if name not in direct:
            problems.append(Problem(place, "is never used", f"{{{name}}} in a template"))
        known = (*spec.fields, *spec.wording, *BESIDE_A_JOIN, "language_name")
        template, broken = parse(join.each, (*place, "each"), known)
        problems += broken
        names.update(slots(template))
        fields = [inner for inner in slots(template) if inner in spec.fields]
        for inner in fields:
            if not spec.fields[inner].many:
                problems.append(
                    Problem(
                        (*place, "each"),
                        f"{inner!r} holds one value only",
                        expected="fields with many: true",
                    )
                )
        if not fields and not broken:
            problems.append(
                Problem((*place, "each"), "holds no field", expected="fields with many: true")
            )
    return names, problems


def _unused_problems(spec: TaskSpec, direct: set[str], joined: set[str]) -> Iterator[Problem]:
    used = direct | joined | {score.against for score in spec.score}
    beside = {name for field in spec.fields.values() for name in field.beside}
    for name in spec.fields:
        if name not in used | beside:
            yield Problem(("fields", name), "is never used", expected=f"{{{name}}} in a template")
    for name in spec.wording:
        if name not in used | _answers(spec):
            yield Problem(("wording", name), "is never used", expected=f"{{{name}}} in a template")


def _answers(spec: TaskSpec) -> set[str]:
    """What may be names of wordings: the answers to whether a pair matches."""
    mismatch = spec.example.mismatch
    return set() if mismatch is None else {mismatch.right, mismatch.wrong}


def _target_problems(spec: TaskSpec, target: Template) -> Iterator[Problem]:
    place: KeyPath = ("example", "target")
    mismatch = spec.example.mismatch
    fields = spec.fields_of(target)
    if not fields and (mismatch is None or mismatch.slot not in slots(target)):
        yield Problem(place, "holds no field, so every row would write the same")
    for name in (*slots(target), *fields):
        writing = spec.fields[name].writing if name in spec.fields else "text"
        if name in ("language", "task") or writing == "nothing":
            expected = f"text, shapes, or a field of kind {one_of(written_in('codes'))}"
            yield Problem(place, f"{{{name}}} cannot be written", expected=expected)
    pictures = [name for name in fields if spec.fields[name].writing == "codes"]
    first = next((p for p in target if not (isinstance(p, str) and not p.strip())), None)
    if pictures and (len(pictures) > 1 or first != Slot(pictures[0])):
        # the place of a code within its image is its place in the target
        yield Problem(place, "an image does not come first", expected="one image, before all else")


def _pick_problems(spec: TaskSpec, direct: set[str]) -> Iterator[Problem]:
    for name in spec.example.pick:
        place: KeyPath = ("example", "pick", name)
        if name not in spec.fields:
            yield Problem(place, "is not a field", nearest=nearest(name, spec.fields))
        elif not spec.fields[name].many:
            yield Problem(place, "holds one value only", expected="a field with many: true")
    for name, field in spec.fields.items():
        listed = field.many and field.writing == "text"
        if listed and name in direct and name not in spec.example.pick:
            yield Problem(
                ("example", "pick"),
                f"{name!r} holds many texts and nothing says which one to take",
                expected=f"pick: {{{name}: random}} or {{{name}: first}}, or a join",
            )


def _drop_problems(spec: TaskSpec, source: Template) -> Iterator[Problem]:
    for index, name in enumerate(() if spec.example.drop is None else spec.example.drop.fields):
        place: KeyPath = ("example", "drop", "fields", index)
        if name not in spec.fields:
            yield Problem(place, f"{name!r} is not a field", nearest=nearest(name, spec.fields))
        elif name not in slots(source):
            message = f"{{{name}}} is not in example.source"
            yield Problem(place, message, expected="a field of the source")
