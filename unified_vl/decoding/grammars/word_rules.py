"""What an answer's words must obey beside its grammar, as in `transformers`' `generate`: how few
there are, what does not come twice, and what does not come at all.

Legend: R hypotheses, T ids so far (the start id first), V vocabulary, X ids of a word, G ids of an
n-gram, W n-grams so far, F numbers that a grammar remembers of a hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unified_vl.data.example import Example
from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.special_ids import SpecialIds
from unified_vl.specs.tasks.generate import GenerateSpec


class WordRules(Grammar):
    """What another grammar allows, less what the rules of a spec forbid.

    The state is that of the other grammar, and all that was written, from the start id on.

    Args:
        inner: the other grammar, over all ids.
        how: the spec's `generate`.
        special: the model's.
        prefix: the ids that every answer begins with.
        bad_words: sequences of ids that no answer may hold.
    """

    def __init__(
        self,
        inner: Grammar,
        how: GenerateSpec,
        special: SpecialIds,
        prefix: Sequence[int] = (),
        bad_words: Sequence[Sequence[int]] = (),
    ) -> None:
        self._inner = inner
        self._how = how
        self._special = special
        self._before = [special.start, *prefix]
        self._room = len(self._before) + how.max_tokens
        self._bad_words = bad_words

    def of(self, examples: Sequence[Example]) -> WordRules:
        inner = self._inner.of(examples)
        if inner is self._inner:
            return self
        prefix = self._before[1:]
        return WordRules(inner, self._how, self._special, prefix, self._bad_words)

    def start(self, rows: int) -> torch.Tensor:
        inner_RF = self._inner.start(rows)
        for step, token in enumerate(self._before[1:]):
            ids_R = torch.full((rows,), token, device=inner_RF.device)
            place_R = self._inner.place_of(inner_RF, ids_R)
            inner_RF = self._inner.advance(inner_RF, place_R, step)
        written_RT = inner_RF.new_zeros((rows, self._room))
        written_RT[:, : len(self._before)] = written_RT.new_tensor(self._before)
        return torch.cat([inner_RF, written_RT], 1)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        inner_RF, written_RT = state_RF[:, : -self._room], state_RF[:, -self._room :]
        scored = self._inner.allowed(
            self._ruled(scores_RV, written_RT[:, : len(self._before) + step], step),
            inner_RF,
            step + len(self._before) - 1,
        )
        # where the rules leave nothing, the answer ends
        stuck_R = scored.scores_RC.amax(1).isneginf()
        scored.scores_RC[:, self._special.end] = scored.scores_RC[:, self._special.end].masked_fill(
            stuck_R, 0.0
        )
        return scored

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        inner_RF, written_RT = state_RF[:, : -self._room], state_RF[:, -self._room :]
        written_RT = written_RT.clone()
        written_RT[:, len(self._before) + step] = place_R
        inner_RF = self._inner.advance(inner_RF, place_R, step + len(self._before) - 1)
        return torch.cat([inner_RF, written_RT], 1)

    def _ruled(self, scores_RV: torch.Tensor, written_RT: torch.Tensor, step: int) -> torch.Tensor:
        how = self._how
        scores_RV = scores_RV.clone()
        if how.repetition_penalty is not None:
            again_RT = scores_RV.gather(1, written_RT)
            penalty = how.repetition_penalty
            again_RT = torch.where(again_RT < 0, again_RT * penalty, again_RT / penalty)
            scores_RV.scatter_(1, written_RT, again_RT)
        if how.no_repeat_ngram is not None and written_RT.shape[1] >= how.no_repeat_ngram:
            gram_RWG = written_RT.unfold(1, how.no_repeat_ngram, 1)
            tail_RG = written_RT[:, written_RT.shape[1] + 1 - how.no_repeat_ngram :]
            same_RW = (gram_RWG[..., :-1] == tail_RG[:, None]).all(-1)
            score_RW = torch.where(same_RW, -torch.inf, torch.inf).to(scores_RV.dtype)
            scores_RV.scatter_reduce_(1, gram_RWG[..., -1], score_RW, "amin")
        for *before, last in self._bad_words:
            if len(before) <= written_RT.shape[1]:
                tail_RX = written_RT[:, written_RT.shape[1] - len(before) :]
                said_R = (tail_RX == tail_RX.new_tensor(before)).all(1)
                scores_RV[:, last] = scores_RV[:, last].masked_fill(said_R, -torch.inf)
        if how.min_tokens is not None and step < how.min_tokens:
            scores_RV[:, self._special.end] = -torch.inf
        return scores_RV
