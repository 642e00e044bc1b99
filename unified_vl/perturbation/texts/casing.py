"""Capitals where there were none, and the other way round, in scripts that have both.

Only letters change whose other case is one character that means the same in the language: `ß` and a
Turkish `ı` stay what they are.
"""

from __future__ import annotations

from functools import cache
from math import ceil
from random import Random

from unified_vl.languages.letter_case import fold_case, lower_case
from unified_vl.perturbation.texts.letters import words_of
from unified_vl.perturbation.texts.text_change import TextChange

SUITE = "casing"
WORDS = (0.2, 0.4, 0.6, 0.8, 1.0)
LETTERS = (0.1, 0.2, 0.4, 0.6, 0.8)
_CAPITAL_I = {"i": "İ", "ı": "I"}  # where a capital I is that of ı


@cache
def raised(character: str, language: str) -> str:
    """The capital of a letter."""
    dotless = lower_case("I", language) == "ı"
    capital = _CAPITAL_I.get(character, "") if dotless else ""
    return _same(character, capital or character.upper(), language)


@cache
def lowered(character: str, language: str) -> str:
    """The small letter of a capital."""
    return _same(character, lower_case(character, language), language)


def _same(character: str, other: str, language: str) -> str:
    alike = len(other) == 1 and fold_case(other, language) == fold_case(character, language)
    return other if alike else character


def _in(text: str, language: str, share: float, random: Random | None, capitals: bool) -> str:
    """A share of the words in capitals, or all small."""
    clusters, words = words_of(text)
    if random is not None:
        random.shuffle(words)
    turn = raised if capitals else lowered
    for word in words[: ceil(share * len(words))]:
        for place in word:
            clusters[place] = "".join(turn(each, language) for each in clusters[place])
    return _kept(text, "".join(clusters), language)


def upper_case(text: str, level: int, random: Random, language: str) -> str:
    """A share of the words in capitals."""
    return _in(text, language, WORDS[level], random, True)


def all_lower(text: str, level: int, random: Random, language: str) -> str:
    """No capitals."""
    return _in(text, language, 1, None, False)


def mixed_case(text: str, level: int, random: Random, language: str) -> str:
    """A share of the letters in their other case."""
    clusters, words = words_of(text)
    places = [place for word in words for place in word]
    random.shuffle(places)
    for place in places[: ceil(LETTERS[level] * len(places))]:
        letters = clusters[place]
        found = "".join(raised(each, language) for each in letters)
        if found == letters:
            found = "".join(lowered(each, language) for each in letters)
        clusters[place] = found
    return _kept(text, "".join(clusters), language)


def _kept(text: str, changed: str, language: str) -> str:
    """The changed text where it differs by case alone."""
    return changed if fold_case(text, language) == fold_case(changed, language) else text


PERTURBATIONS = (
    TextChange("lower_case", "Texts have no capitals.", SUITE, all_lower, severities=1),
    TextChange("upper_case", "A share of the words is in capitals.", SUITE, upper_case),
    TextChange("mixed_case", "A share of the letters is in the other case.", SUITE, mixed_case),
)
