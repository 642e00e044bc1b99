"""Checks that the rules of several parts of a task spec share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from unified_vl.errors import nearest
from unified_vl.languages.tags import canonical
from unified_vl.specs.reading.document import KeyPath, Problem
from unified_vl.specs.tasks.template import Template, TemplateError, parse_template, slots

BUILT_INS = ("language", "language_name", "task")
RESERVED = (*BUILT_INS, "key")  # a row of predictions has these beside its fields


def parse(text: str, place: KeyPath, known: Iterable[str]) -> tuple[Template, list[Problem]]:
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


def named_slots(text: str) -> list[str]:
    """The slots of a template, each as often as it is there; none of a broken one."""
    try:
        pieces = parse_template(text)
    except TemplateError:
        return []
    return [piece.name for piece in pieces if not isinstance(piece, str)]


def same_languages(place: KeyPath, tags: Iterable[str]) -> Iterator[Problem]:
    """Tags that are one language in two spellings."""
    known: dict[str, str] = {}
    for tag in dict.fromkeys(tags):
        first = known.setdefault(canonical(tag), tag)
        if first != tag:
            yield Problem(place, f"{tag!r} is the same language as {first!r}", "each once")


def repeated(place: KeyPath, values: Iterable[str]) -> Iterator[Problem]:
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(place, f"{value!r} is listed {count} times")
