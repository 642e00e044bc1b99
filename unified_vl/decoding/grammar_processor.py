"""A grammar as `transformers` takes it, so that its searches keep to a task's answers.

Legend: R hypotheses, T ids so far, V vocabulary, F numbers that a grammar remembers of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from transformers import LogitsProcessor

from unified_vl.data.example import Example
from unified_vl.decoding.grammars.grammar import Grammar


class GrammarProcessor(LogitsProcessor):
    """Gives the ids that a grammar forbids a score of minus infinity.

    What was written is read anew at each step: these searches move hypotheses about and do not say
    whence.

    Args:
        grammar: of the rows that are searched.
        given: ids that stand before what the search writes: the start id, and a prefix.
        examples: of the sources, where the grammar differs between them.
    """

    def __init__(self, grammar: Grammar, given: int = 1, examples: Sequence[Example] = ()) -> None:
        self._grammar = grammar
        self._given = given
        self._examples = examples
        self._of_rows = cache(self._repeated)

    def _repeated(self, rows: int) -> Grammar:
        """The grammar of so many hypotheses, as many of each source."""
        if not self._examples:
            return self._grammar
        width = rows // len(self._examples)
        return self._grammar.of([each for each in self._examples for _ in range(width)])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (R, V) of the next ids, of what was written (R, T) and their own scores."""
        ids_RT = input_ids[:, self._given :]
        grammar = self._of_rows(len(ids_RT))
        state_RF = grammar.start(len(ids_RT))
        for step, ids_R in enumerate(ids_RT.unbind(1)):
            place_R = grammar.place_of(state_RF, ids_R)
            state_RF = grammar.advance(state_RF, place_R, step)
        allowed = grammar.allowed(scores, state_RF, ids_RT.shape[1])
        if allowed.ids_RC is None:
            return allowed.scores_RC
        restricted_RV = torch.full_like(scores, -torch.inf)
        # where a row has fewer ids than another its last is repeated, without a score
        return restricted_RV.scatter_reduce_(1, allowed.ids_RC, allowed.scores_RC, "amax")
