"""Which languages data are in, by names of columns, by what they are called, by their letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import regex

from unified_vl.languages.tags import find
from unified_vl.specs.reading.document import LANGUAGE_PATTERN

# a script, and the language that most texts in it are in
_SCRIPTS = {
    "Hiragana": "ja",
    "Katakana": "ja",
    "Hangul": "ko",
    "Han": "zh",
    "Arabic": "ar",
    "Hebrew": "he",
    "Cyrillic": "ru",
    "Greek": "el",
    "Thai": "th",
    "Devanagari": "hi",
    "Bengali": "bn",
    "Tamil": "ta",
    "Telugu": "te",
    "Georgian": "ka",
    "Armenian": "hy",
    "Latin": "en",
}
_LETTERS = {script: regex.compile(rf"\p{{{script}}}") for script in _SCRIPTS}


def tags_of(said: Iterable[object]) -> dict[str, str]:
    """Tags of languages by what the data call them: `de` for "de" and for "German".

    What is neither a tag nor a name in English is left out; of two spellings of a tag the first
    stands for both.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(map(str, said)):
        named = _names().get(name.lower())
        if named is not None and not name.islower():  # "Lao" is a name, "lao" a code
            found.setdefault(find(named, found) or named, name)
        elif re.match(LANGUAGE_PATTERN, name):
            found.setdefault(find(name, found) or name, name)
        elif named is not None:
            found.setdefault(find(named, found) or named, name)
    return found


def is_language(name: str) -> bool:
    """Whether a text is a tag or the English name of a language."""
    return bool(re.match(LANGUAGE_PATTERN, name)) or name.lower() in _names()


def language_of(names: Sequence[str], texts: Sequence[str]) -> tuple[list[str], str]:
    """The language of texts, and what it was guessed from.

    Args:
        names: of the fields, the one that is written first.
        texts: what they hold.
    """
    if names and names[0] in _names().values() and len(names[0]) < 4:
        return [names[0]], "the column's name"
    counted = Counter(_script(text) for text in texts)
    counted.pop("", None)
    if not counted:
        return ["en"], "there are no letters to tell"
    script = counted.most_common(1)[0][0]
    return [_SCRIPTS[script]], f"its letters are {script}"


def _script(text: str) -> str:
    """The first script of which a text has letters; kana come before the Han beside them."""
    return next((script for script, letters in _LETTERS.items() if letters.search(text)), "")


@cache
def _names() -> dict[str, str]:
    from babel import Locale

    return {name.lower(): tag for tag, name in Locale("en").languages.items() if "_" not in tag}
