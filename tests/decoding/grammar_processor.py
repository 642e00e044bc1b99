"""A grammar as `transformers` takes it, to compare its searches with the project's."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from unified_vl.decoding.grammars.grammar import Grammar


class GrammarProcessor(LogitsProcessor):
    """A grammar as `transformers` takes it: forbidden ids score minus infinity."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ids_RT = input_ids[:, 1:]  # the start id is not output
        state_RF = self._grammar.start(len(ids_RT))
        for step, ids_R in enumerate(ids_RT.unbind(1)):
            place_R = self._grammar.place_of(state_RF, ids_R)
            state_RF = self._grammar.advance(state_RF, place_R, step)
        allowed = self._grammar.allowed(scores, state_RF, ids_RT.shape[1])
        if allowed.ids_RC is None:
            return allowed.scores_RC
        restricted_RV = torch.full_like(scores, -torch.inf)
        # where a row has fewer ids than another its last is repeated, without a score
        return restricted_RV.scatter_reduce_(1, allowed.ids_RC, allowed.scores_RC, "amax")
