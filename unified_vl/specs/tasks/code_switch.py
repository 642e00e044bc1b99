"""Dictionaries by which words of a text are replaced with their translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING

from unified_vl.errors import UserError
from unified_vl.languages.letter_case import fold_case
from unified_vl.languages.tags import canonical, find, nearest_tag
from unified_vl.specs.reading.document import LANGUAGE_PATTERN, PATTERNS
from unified_vl.specs.tasks.choices import carried_file, file_beside

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


@dataclass(frozen=True)
class Dictionary:
    """Words and their translations.

    Attributes:
        text: the file, word for word, as a saved model carries it.
        languages: the tags of its first line.
        words: of each language, a word (case-folded) to its translations by language.
    """

    text: str
    languages: tuple[str, ...]
    words: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]]

    @property
    def lines(self) -> list[str]:
        """The lines below the first."""
        return self.text.split("\n")[1:]

    def translations(
        self, word: str, language: str, into: Sequence[str]
    ) -> list[tuple[str, tuple[str, ...]]]:
        """The translations of a word by language, in the order of `into`."""
        own = self._own_tag(language)
        found = self.words.get(own, {}).get(fold_case(word, own), {})
        wanted = [(tag, self._own_tag(tag)) for tag in into]
        return [(tag, found[its]) for tag, its in wanted if its != own and its in found]

    def _own_tag(self, language: str) -> str:
        """How the first line spells a language, or the tag as it is."""
        if language in self.words:
            return language
        return find(language, self.languages) or language


def load_dictionaries(spec: TaskSpec) -> dict[str, Dictionary]:
    """The dictionaries of a spec, by the field they change.

    A file `NAME.FIELD.dictionary.tsv` beside `NAME.yaml` comes first: a saved model carries
    there what the spec's own file said.

    Raises:
        UserError: when a file is missing, broken, outside the spec's folder, or lacks a
            language that the spec names.
    """
    found = {}
    for name, noise in spec.example.noise.items():
        if noise.dictionary is None:
            continue
        place = ("example", "noise", name)
        path = carried_file(spec, carried_dictionary(spec, name))
        if path is None:
            key = (*place, "dictionary")
            path = file_beside(spec, noise.dictionary.file, key, "a word a line")
        found[name] = read_dictionary(path)
        known = found[name].languages
        for index, tag in enumerate(noise.languages or ()):
            if find(tag, known) is None:
                raise spec.error(
                    (*place, "languages", index),
                    f"the dictionary has no language {tag!r}",
                    expected=f"one of {', '.join(known)}",
                    nearest=nearest_tag(tag, known),
                )
    return found


def carried_dictionary(spec: TaskSpec, field: str) -> str:
    """The file of a saved model with the dictionary of a field."""
    return f"{spec.task}.{field}.dictionary.tsv"


def read_dictionary(path: Path) -> Dictionary:
    """A dictionary file: language tags in its first line, translations of a word in each other.

    An empty cell says nothing; a word that stands in several lines has several translations.

    Raises:
        UserError: with the line, for what is not UTF-8, no tags, or another number of cells.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    head, *lines = text.split("\n")
    languages = tuple(cell.strip() for cell in head.split("\t"))
    for tag in languages:
        if not fullmatch(LANGUAGE_PATTERN, tag):
            expected = f"{PATTERNS[LANGUAGE_PATTERN]} in each cell of the first line"
            raise UserError(f"found {tag!r}", file=path, line=1, expected=expected)
    if len(languages) < 2 or len(set(map(canonical, languages))) < len(languages):
        found = ", ".join(languages)
        raise UserError(f"found {found}", file=path, line=1, expected="two languages or more")
    words: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {tag: {} for tag in languages}
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(languages):
            raise UserError(
                f"found {len(cells)} cells", file=path, line=number, expected=str(len(languages))
            )
        row = {tag: cell for tag, cell in zip(languages, cells, strict=True) if cell}
        for tag, word in row.items():
            known = words[tag].setdefault(fold_case(word, tag), {})
            for other, translation in row.items():
                if other != tag and translation not in known.get(other, ()):
                    known[other] = (*known.get(other, ()), translation)
    if not any(words.values()):
        raise UserError("holds no word", file=path, expected="a word and its translations a line")
    return Dictionary(text, languages, words)
