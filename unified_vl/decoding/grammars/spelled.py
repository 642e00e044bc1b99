"""The grammar of texts that are spelt in one way only: numbers, dates and the like.

Legend: R hypotheses, V vocabulary, S states of an automaton, F numbers that a grammar remembers
of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np
import torch

from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.errors import UserError
from unified_vl.kinds.hooks.automata import Automaton


class SpelledGrammar(Grammar):
    """A text that an automaton reads to an end, then eos; a space may stand before it.

    The automaton over characters is made one over the bytes of their UTF-8, as pieces may be parts
    of characters, and that a table of states and pieces, once.

    Args:
        vocabulary: the id ranges.
        text: the tokenizer.
        automaton: what the text obeys.
        device: of the model.

    Raises:
        UserError: when no pieces of the tokenizer spell such a text.
    """

    def __init__(
        self, vocabulary: Vocabulary, text: TextCodec, automaton: Automaton, device: torch.device
    ) -> None:
        states, following = _states(automaton)
        end, by_byte = _by_byte(following, len(states))  # `end` is behind eos: nothing
        next_SV = np.full((end + 1, vocabulary.size), -1, np.int64)
        known = {byte for _, byte in by_byte}
        for token, written in _spelt(text):
            if token in vocabulary.special or not known.issuperset(written):
                continue
            for state in range(end):
                next_SV[state, token] = _read(by_byte, state, written)
        for number, reached in enumerate(states):
            if automaton.ends(reached):
                next_SV[number, vocabulary.eos_id] = end
        next_SV[end, vocabulary.eos_id] = end
        _refuse_dead_ends(next_SV, end)
        self._next_SV = torch.from_numpy(next_SV).to(device)

    def start(self, rows: int) -> torch.Tensor:
        return torch.zeros((rows, 1), dtype=torch.long, device=self._next_SV.device)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        return Scored(scores_RV.masked_fill(self._next_SV[state_RF[:, 0]] < 0, -torch.inf))

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        following_R1 = self._next_SV[state_RF[:, 0], place_R][:, None]
        return torch.where(following_R1 < 0, state_RF, following_R1)


def _states(automaton: Automaton) -> tuple[list[Hashable], dict[tuple[int, str], int]]:
    """All states, and the number of the one behind a state and a character.

    Number 0 is where nothing is written, number 1 where a space is.
    """
    start = automaton.start()
    states: list[Hashable] = [start, start]
    numbers: dict[Hashable, int] = {}
    following: dict[tuple[int, str], int] = {}
    number = 1
    while number < len(states):
        for character in sorted(automaton.characters):
            found = automaton.step(states[number], character)
            if found is None:
                continue
            if found not in numbers:
                numbers[found] = len(states)
                states.append(found)
            following[number, character] = numbers[found]
        number += 1
    following |= {(0, c): to for (of, c), to in following.items() if of == 1}
    following.setdefault((0, " "), 1)
    return states, following


def _by_byte(
    following: dict[tuple[int, str], int], states: int
) -> tuple[int, dict[tuple[int, int], int]]:
    """How many states there are with those within characters, and the state behind a state and a
    byte."""
    found: dict[tuple[int, int], int] = {}
    for (state, character), to in sorted(following.items()):
        *first, last = character.encode()
        for byte in first:
            if (state, byte) not in found:
                found[state, byte] = states
                states += 1
            state = found[state, byte]
        found[state, last] = to
    return states, found


def _spelt(text: TextCodec) -> Iterator[tuple[int, bytes]]:
    """The ids that texts are spelt with, and the bytes that they stand for."""
    for token, written in enumerate(text.texts):
        if written:
            yield token, written.encode()
    for token, fragment in text.fragments.items():
        if token not in text.unlearnt_ids:  # those spell what was never learnt
            yield token, fragment


def _read(following: dict[tuple[int, int], int], state: int, written: bytes) -> int:
    """The state behind some bytes; -1 where they cannot stand."""
    for byte in written:
        state = following.get((state, byte), -1)
        if state < 0:
            return -1
    return state


def _refuse_dead_ends(next_SV: np.ndarray, end: int) -> None:
    """Take out what leads to where no piece goes on."""
    living = np.zeros(end + 1, bool)
    living[end] = True
    while True:
        reached = (next_SV >= 0) & living[next_SV]
        found = reached.any(1)
        if (found == living).all():
            break
        living = found
    if not living[0]:
        raise UserError(
            "the tokenizer has no pieces that spell such an answer",
            field="generate.allow",
            expected="a tokenizer trained on texts that hold them",
        )
    next_SV[~reached] = -1
