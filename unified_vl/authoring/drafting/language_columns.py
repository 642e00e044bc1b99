"""Tables with a column a language: `caption_en`, `caption_de`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unified_vl.authoring.drafting.columns import guess_columns
from unified_vl.authoring.drafting.languages import tags_of
from unified_vl.authoring.drafting.samples import Columns

_BETWEEN = re.compile(r"(?<=[^\W_])[_.-]")
_TAG = re.compile(r"[a-z]{2,3}([-_][A-Z][A-Za-z]{1,3})?|[A-Za-z]{4,}")  # or a name


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
        stem, language = _split(name)
        if language:
            stem = stem.replace("{", "{{").replace("}", "}}")
            groups.setdefault(f"{stem}{{language}}", {})[language] = name
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
    """What stands before a language in a name, and the language; empty where there is none."""
    for between in _BETWEEN.finditer(name):
        language = name[between.end() :]
        if _TAG.fullmatch(language) and _tags([language]):
            return name[: between.end()], language
    return name, ""


def _texts(columns: Columns) -> list[str]:
    """The columns that hold texts, or lists of texts."""
    return [g.column for g in guess_columns(columns) if g.role == "field" and g.kind == "text"]


def _tags(said: Sequence[str]) -> dict[str, str]:
    """The tags of languages that there are, each with what it is called."""
    from babel import Locale

    known = Locale("en").languages
    return {tag: name for tag, name in tags_of(said).items() if re.split("[-_]", tag)[0] in known}
