"""Tables with a column a language: `caption_en` and `caption_de`, `Text (English)`, `DE Text`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import regex

from unified_vl.authoring.drafting.columns import fields_among, guess_columns
from unified_vl.authoring.drafting.files.samples import Columns
from unified_vl.authoring.drafting.languages import tags_of

_TAG = r"(?P<tag>[a-z]{2,3}([-_][A-Z][A-Za-z]{1,3})?|[A-Z]{2}([-_][A-Z]{2})?|[A-Za-z]{4,})"
_BEHIND = regex.compile(rf"(?<=[^\W_])(?:[_.\- ]{_TAG}|\ ?\({_TAG}\)|\ ?\[{_TAG}\])$")
_BEFORE = regex.compile(rf"^{_TAG}[_.\- ](?=[^\W_])")


@dataclass(frozen=True)
class LanguageColumns:
    """Columns that say the same in several languages.

    Attributes:
        columns: all columns of the table, one for those of all languages.
        templates: the names of these, with `{language}`.
        names: what the columns call each language, by its tag.
    """

    columns: Columns
    templates: frozenset[str]
    names: Mapping[str, str]


def find_language_columns(columns: Columns) -> LanguageColumns | None:
    """The columns of each language as one, where there are several that differ in it alone."""
    groups: dict[str, dict[str, str]] = {}
    for name in _texts(columns):
        template, language = _split(name)
        if language:
            groups.setdefault(template, {})[language] = name
    several = {template: of for template, of in groups.items() if len(of) > 1}
    if not several:
        return None
    first_of, *rest = several.values()
    common = [said for said in first_of if all(said in of for of in rest)]
    if len(common) < 2:
        return None
    first = {of[common[0]]: template for template, of in several.items()}
    others = {of[said] for of in several.values() for said in common}
    merged = {
        first.get(name, name): values
        for name, values in columns.items()
        if name in first or name not in others
    }
    return LanguageColumns(merged, frozenset(first.values()), _tags(common))


def _split(name: str) -> tuple[str, str]:
    """A name as the template of one a language, and that language; empty where there is none.

    The language stands behind the rest, or else before it: `text_de`, `Text DE`, `Text (German)`,
    `de_text`.
    """
    for pattern in _BEHIND, _BEFORE:
        for found in pattern.finditer(name, overlapped=True):
            before, after = (
                part.replace("{", "{{").replace("}", "}}")
                for part in (name[: found.start("tag")], name[found.end("tag") :])
            )
            if _tags([found["tag"]]):
                return f"{before}{{language}}{after}", found["tag"]
    return name, ""


def _texts(columns: Columns) -> list[str]:
    """The columns that hold texts, or lists of texts."""
    return [g.column for g in fields_among(guess_columns(columns)) if g.kind.free_text]


def _tags(said: Sequence[str]) -> dict[str, str]:
    """The tags of languages that there are, each with what it is called."""
    from babel import Locale

    known = Locale("en").languages
    lower = {_lowered(each): each for each in reversed(said)}
    return {
        tag: lower[name]
        for tag, name in tags_of(_lowered(each) for each in said).items()
        if re.split("[-_]", tag)[0] in known
    }


def _lowered(said: str) -> str:
    """A code in capitals as a tag: `de` for DE, `pt-BR` for PT-BR."""
    language, between, region = said.partition("-" if "-" in said else "_")
    return f"{language.lower()}{between}{region}" if re.fullmatch("[A-Z]{2}", language) else said
