"""Slips of the fingers: neighbouring letters swapped, one left out, one typed twice.

As in Belinkov and Bisk (ICLR 2018, arXiv 1711.02173), but within a script and by letters as people
count them. No two slips are side by side, and those of a milder severity are among the next one's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from random import Random

from unified_vl.perturbation.texts.letters import stays_apart, words_of
from unified_vl.perturbation.texts.text_change import TextChange

SUITE = "typos"
SHARES = (0.04, 0.08, 0.12, 0.2, 0.3)  # of the letters, and one at least
Slip = Callable[[list[str], range, int], tuple[int, list[str]] | None]
"""(clusters, word, place) to how many clusters give way to which; None where it cannot be."""


def swapped(clusters: list[str], word: range, place: int) -> tuple[int, list[str]] | None:
    """A letter and the next of the word."""
    if place + 1 not in word or clusters[place].casefold() == clusters[place + 1].casefold():
        return None
    return 2, [clusters[place + 1], clusters[place]]


def dropped(clusters: list[str], word: range, place: int) -> tuple[int, list[str]] | None:
    """Any letter of a word but its first."""
    return None if place == word.start else (1, [])


def doubled(clusters: list[str], word: range, place: int) -> tuple[int, list[str]] | None:
    """A letter twice."""
    return 1, [clusters[place], clusters[place]]


def with_slips(text: str, level: int, random: Random, slip: Slip) -> str:
    """A text with slips of one kind; as it is where there is no place for one."""
    clusters, words = words_of(text)
    count = ceil(SHARES[level] * sum(map(len, words)))
    places = [(word, place) for word in words for place in word]
    random.shuffle(places)
    changes: dict[int, tuple[int, list[str]]] = {}
    taken: set[int] = set()
    for word, place in places:
        if len(changes) >= count:
            break
        found = slip(clusters, word, place)
        if found is None:
            continue
        touched = range(place - 1, place + found[0] + 1)
        if taken.isdisjoint(touched) and _stays(clusters, place, *found):
            changes[place] = found
            taken.update(touched)
    return "".join(_changed(clusters, changes))


def _stays(clusters: list[str], place: int, gone: int, new: list[str]) -> bool:
    """Whether letters beside a slip would not become one, or fall apart."""
    before, behind = clusters[max(place - 1, 0) : place], clusters[place + gone : place + gone + 1]
    return stays_apart([*before, *new, *behind])


def _changed(clusters: list[str], changes: dict[int, tuple[int, list[str]]]) -> Iterator[str]:
    place = 0
    while place < len(clusters):
        gone, new = changes.get(place, (1, [clusters[place]]))
        yield from new
        place += gone


PERTURBATIONS = (
    TextChange(
        "swapped_letters",
        "Neighbouring letters of a word change places.",
        SUITE,
        lambda text, level, random, language: with_slips(text, level, random, swapped),
    ),
    TextChange(
        "dropped_letters",
        "Letters are left out, never the first of a word.",
        SUITE,
        lambda text, level, random, language: with_slips(text, level, random, dropped),
    ),
    TextChange(
        "doubled_letters",
        "Letters are typed twice.",
        SUITE,
        lambda text, level, random, language: with_slips(text, level, random, doubled),
    ),
)
