"""What a task may write, enforced while decoding.

A grammar says which ids may come next, for all rows at once. The same object serves
the project's greedy loop and, as a `LogitsProcessor`, the beam search of transformers.

Legend: B rows, T ids so far, V vocabulary, W the width of a mask's batch: 1 or B.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from transformers import LogitsProcessor

from unified_vl.codecs.vocabulary import EOS_ID, PAD_ID, UNK_ID, Vocabulary
from unified_vl.errors import UserError

BOX_TOKENS = 4


class Grammar(ABC):
    """Which ids may come next."""

    @abstractmethod
    def allowed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """A mask (W, V), true where an id may follow.

        Args:
            ids_BT: what each row has written so far, without the start id. A row that
                has ended goes on with anything; what comes of it is not read.
        """


class TextGrammar(Grammar):
    """Text, then eos: no tags, locations, image codes, padding or unused embedding rows."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        mask_V = torch.zeros(vocabulary.size, dtype=torch.bool, device=device)
        mask_V[vocabulary.text.start : vocabulary.text.stop] = True
        mask_V[[PAD_ID, UNK_ID]] = False
        mask_V[EOS_ID] = True
        self._mask_1V = mask_V[None]

    def allowed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return self._mask_1V


class BoxGrammar(Grammar):
    """Exactly one box, x1 y1 x2 y2 with x1 < x2 and y1 < y2, then eos."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        ids_V = torch.arange(vocabulary.size, device=device)
        start, last = vocabulary.locations.start, vocabulary.locations.stop - 1
        self._ids_1V = ids_V[None]
        self._first_1V = (self._ids_1V >= start) & (self._ids_1V < last)  # room for x2, y2
        self._second_1V = (self._ids_1V > start) & (self._ids_1V <= last)
        self._end_1V = self._ids_1V == EOS_ID

    def allowed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        step = ids_BT.shape[1]
        if step >= BOX_TOKENS:
            return self._end_1V
        if step < BOX_TOKENS // 2:
            return self._first_1V
        return self._second_1V & (self._ids_1V > ids_BT[:, step - 2, None])


class GrammarProcessor(LogitsProcessor):
    """A grammar as `transformers` takes it: forbidden ids score minus infinity."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        mask_WV = self._grammar.allowed(input_ids[:, 1:])  # the start id is not output
        return scores.masked_fill(~mask_WV, -torch.inf)


def grammar_of(
    allow: str, max_tokens: int, vocabulary: Vocabulary, device: torch.device
) -> Grammar:
    """The grammar that a spec's `generate.allow` names.

    Raises:
        UserError: when `max_tokens` has no room for what the grammar must write.
    """
    if allow == "text":
        return TextGrammar(vocabulary, device)
    if max_tokens < BOX_TOKENS:
        raise UserError(
            f"a box does not fit into {max_tokens} tokens",
            field="generate.max_tokens",
            expected=f"at least {BOX_TOKENS}",
        )
    return BoxGrammar(vocabulary, device)
