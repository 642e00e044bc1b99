"""The letters of a text as people count them, and the words that they are in.

A letter is a grapheme cluster (UAX 29) that begins with a letter: marks that combine with it stay
with it. A word is a run of letters of one script. Digits and emoji are no letters, nor is what
stands in angle brackets, braces or square brackets, which may be tags or names of places.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import regex

# the scripts of UAX 31, tables 5 and 7: those in modern use
SCRIPTS = (
    "Latn Cyrl Grek Arab Hebr Deva Hani Hira Kana Hang Thai Armn Beng Bopo Ethi Geor "
    "Gujr Guru Khmr Knda Laoo Mlym Mymr Orya Sinh Taml Telu Thaa Tibt Adlm Bali Bamu "
    "Batk Cakm Cans Cham Cher Hmnp Java Kali Lana Lepc Limb Lisu Mand Mtei Newa Nkoo "
    "Olck Osge Plrd Rohg Saur Sund Sylo Syrc Tale Talu Tavt Tfng Vaii Wcho Yiii "
)
_SCRIPT = regex.compile("|".join(rf"(?P<{code}>\p{{Script={code}}})" for code in SCRIPTS.split()))
_PROTECTED = regex.compile(r"<[^<>]*>|\{[^{}]*\}|\[[^\[\]]*\]")
_CLUSTERS = regex.compile(r"\X")


def clusters_of(text: str) -> list[str]:
    """The grapheme clusters of a text."""
    return [str(found) for found in _CLUSTERS.findall(text)]


@cache
def script_of_letter(character: str) -> str | None:
    """The script (ISO 15924) of a letter; None of what is none, or of a script out of use.

    >>> script_of_letter("a"), script_of_letter("鍵"), script_of_letter("3")
    ('Latn', 'Hani', None)
    """
    if not regex.fullmatch(r"\p{L}", character):
        return None
    found = _SCRIPT.fullmatch(character)
    return None if found is None else found.lastgroup


def words_of(text: str) -> tuple[list[str], list[range]]:
    """The clusters of a text, and of each word which of them it is."""
    clusters = clusters_of(text)
    protected = [found.span() for found in _PROTECTED.finditer(text)]
    words: list[range] = []
    before: str | None = None
    start = 0
    for place, cluster in enumerate(clusters):
        hidden = any(first < start + len(cluster) and start < end for first, end in protected)
        script = None if hidden else script_of_letter(cluster[0])
        if script is not None and script == before:
            words[-1] = range(words[-1].start, place + 1)
        elif script is not None:
            words.append(range(place, place + 1))
        before = script
        start += len(cluster)
    return clusters, words


def stays_apart(clusters: Sequence[str]) -> bool:
    """Whether these clusters, written one after the other, are still these."""
    return clusters_of("".join(clusters)) == list(clusters)
