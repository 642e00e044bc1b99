"""How texts of a kind are spelt, as automata over characters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

DIGITS = "0123456789"


class Automaton(Protocol):
    """Reads a text character by character; it has a finite number of states."""

    @property
    def characters(self) -> frozenset[str]:
        """All that any text may hold."""

    def start(self) -> Hashable:
        """The state before the text."""

    def step(self, state: Hashable, character: str) -> Hashable | None:
        """The state behind a character; None where it cannot stand."""

    def ends(self, state: Hashable) -> bool:
        """Whether the text may end here."""


@dataclass(frozen=True, slots=True)
class Some:
    """Some characters of a set, one after the other.

    Attributes:
        of: the characters.
        least: how many there are at least.
        most: and at most; None for any number.
    """

    of: str
    least: int = 1
    most: int | None = 1


class Spelling:
    """Texts that are one run of characters after the other: of a date, four digits, a dash, ...

    A state is the set of places in the runs, (number, how many of it), that the text may be at;
    of a run without a largest number `least` is as far as it counts.

    Args:
        runs: the runs.
    """

    def __init__(self, *runs: Some) -> None:
        self.runs = runs
        self.characters = frozenset("".join(run.of for run in runs))

    def start(self) -> frozenset[tuple[int, int]]:
        return self._reached((0, 0))

    def step(self, state: Hashable, character: str) -> frozenset[tuple[int, int]] | None:
        assert isinstance(state, frozenset)
        found: set[tuple[int, int]] = set()
        for number, count in state:
            if number == len(self.runs) or character not in self.runs[number].of:
                continue
            run = self.runs[number]
            if run.most is None:
                found |= self._reached((number, min(count + 1, run.least)))
            elif count < run.most:
                found |= self._reached((number, count + 1))
        return frozenset(found) or None

    def ends(self, state: Hashable) -> bool:
        assert isinstance(state, frozenset)
        return (len(self.runs), 0) in state

    def _reached(self, place: tuple[int, int]) -> frozenset[tuple[int, int]]:
        """A place, and those that may come next without a character."""
        number, count = place
        found = {place}
        while number < len(self.runs) and count >= self.runs[number].least:
            number, count = number + 1, 0
            found.add((number, count))
        return frozenset(found)


def spelt(pattern: str, of: Sequence[Some] = ()) -> Spelling:
    """The texts that look like a pattern, in which 9 stands for any digit: 9999-99-99.

    Args:
        pattern: the pattern.
        of: what may stand before it.
    """
    return Spelling(*of, *(Some(DIGITS if c == "9" else c) for c in pattern))


def longest_within(text: str, automaton: Automaton) -> str | None:
    """The longest part of a text that an automaton reads, of several the first; None for none."""
    best: str | None = None
    for start in range(len(text)):
        state: Hashable | None = automaton.start()
        for end, character in enumerate(text[start:], start + 1):
            state = automaton.step(state, character)
            if state is None:
                break
            if automaton.ends(state) and (best is None or end - start > len(best)):
                best = text[start:end]
    return best
