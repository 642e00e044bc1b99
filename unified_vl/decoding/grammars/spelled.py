"""The grammar of texts that are spelt in one way only: numbers, dates and the like.

Legend: R hypotheses, V vocabulary, S states of an automaton, F numbers that a grammar remembers
of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import torch

from unified_vl.codecs.text import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.errors import UserError
from unified_vl.kinds.hooks.automata import Automaton


class SpelledGrammar(Grammar):
    """A text that an automaton reads to an end, then eos; a space may stand before it.

    The automaton over the characters of the pieces is made a table of states and pieces once.

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
        end = len(states)  # behind eos: nothing
        next_SV = np.full((end + 1, vocabulary.size), -1, np.int64)
        known = {*automaton.characters, " "}
        for token, piece in enumerate(text.pieces(list(vocabulary.text))):
            characters = piece.replace("\u2581", " ")
            if token in vocabulary.special or not set(characters) <= known:
                continue
            for state in range(end):
                next_SV[state, token] = _read(following, state, characters)
        for number, written in enumerate(states):
            if automaton.ends(written):
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


def _read(following: dict[tuple[int, str], int], state: int, characters: str) -> int:
    """The state behind some characters; -1 where they cannot stand."""
    for character in characters:
        state = following.get((state, character), -1)
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
