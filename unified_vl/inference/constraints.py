"""What a task may write, enforced while decoding: an impossible answer is impossible.

A grammar works on all hypotheses at once, on the device that the model is on; what a
hypothesis has written so far is a row of a state that it advances. The same object
serves this project's loops and, as a `LogitsProcessor`, `transformers`' `generate`.

Legend: R hypotheses, T ids so far, V vocabulary, N nodes of a trie, C ids that may be
written, X some of them, F numbers that a grammar remembers of a hypothesis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import LogitsProcessor

from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.data.example import Example
from unified_vl.inference.trie import Trie


class Scored(NamedTuple):
    """Scores (R, C) of ids (R, C), minus infinity where there is none; or of all ids in
    their order, where `ids_RC` is None."""

    scores_RC: torch.Tensor
    ids_RC: torch.Tensor | None = None

    def ids_at(self, place_RX: torch.Tensor) -> torch.Tensor:
        """The ids at places of the rows."""
        return place_RX if self.ids_RC is None else self.ids_RC.gather(1, place_RX)


class Grammar(ABC):
    """Which ids may come next. A hypothesis that has ended may get any state."""

    def of(self, examples: Sequence[Example]) -> Grammar:
        """The grammar of these sources' answers, where it differs from source to source."""
        return self

    @abstractmethod
    def start(self, rows: int) -> torch.Tensor:
        """The state (R, F) of hypotheses that have written nothing."""

    @abstractmethod
    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        """The scores of what may be written.

        Args:
            scores_RV: logits or log-probabilities; not changed.
            state_RF: what was written so far.
            step: how many ids that was.
        """

    @abstractmethod
    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        """The state once number `step` (from 0) is written.

        Args:
            state_RF: what was written before.
            place_R: where what is written stands in the scores that `allowed` gave; that
                is the id itself where they are of all ids.
            step: how many ids were written before.
        """

    def place_of(self, state_RF: torch.Tensor, ids_R: torch.Tensor) -> torch.Tensor:
        """Where ids stand in the scores that `allowed` gives."""
        return ids_R


class ChoiceGrammar(Grammar):
    """One of the choices of a trie, whole. The state is a node of it.

    The children of all hypotheses are looked up as one rectangle as wide as the widest
    node of the level: no loop over hypotheses, nothing read back from the device, and
    no search over the whole vocabulary.
    """

    def __init__(self, trie: Trie, vocabulary_size: int, device: torch.device) -> None:
        nodes = len(trie.token_N)
        self._end = nodes  # behind a leaf: nothing but eos for ever
        leaf_N = trie.children_N == 0
        first_N = np.append(np.where(leaf_N, self._end, trie.first_child_N), self._end)
        last_N = np.append(np.where(leaf_N, 0, trie.children_N - 1), 0) + first_N
        bounds = zip(trie.level_starts[:-1], trie.level_starts[1:], strict=True)
        self._widest = [int(trie.children_N[a:b].max(initial=1)) for a, b in bounds]
        self._size = vocabulary_size
        edges = trie.parent_N[1:] * vocabulary_size + trie.token_N[1:]  # in rising order

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(device)

        self._first_N, self._last_N = tensor(first_N), tensor(last_N)
        self._token_N = tensor(np.append(trie.token_N, EOS_ID))
        self._edge_N = tensor(edges)
        self._range_C = torch.arange(max(self._widest), device=device)
        self._root_C = self._token_N[1 : 1 + int(trie.children_N[0])]

    def start(self, rows: int) -> torch.Tensor:
        return torch.zeros((rows, 1), dtype=torch.long, device=self._token_N.device)

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        if step == 0:
            scores_RC = scores_RV.index_select(1, self._root_C)
            return Scored(scores_RC, self._root_C.expand_as(scores_RC))
        node_R = state_RF[:, 0]
        width = self._widest[step] if step < len(self._widest) else 1
        if width == 1:
            ids_RC = self._token_N[self._first_N[node_R]][:, None]
            return Scored(scores_RV.gather(1, ids_RC), ids_RC)
        last_R1 = self._last_N[node_R][:, None]
        child_RC = self._first_N[node_R][:, None] + self._range_C[:width]
        ids_RC = self._token_N[torch.minimum(child_RC, last_R1)]
        scores_RC = scores_RV.gather(1, ids_RC)
        return Scored(scores_RC.masked_fill_(child_RC > last_R1, -torch.inf), ids_RC)

    def advance(self, state_RF: torch.Tensor, place_R: torch.Tensor, step: int) -> torch.Tensor:
        node_R = state_RF[:, 0]
        child_R = torch.minimum(self._first_N[node_R] + place_R, self._last_N[node_R])
        return child_R[:, None]

    def place_of(self, state_RF: torch.Tensor, ids_R: torch.Tensor) -> torch.Tensor:
        node_R = state_RF[:, 0]
        wanted_R = node_R * self._size + ids_R
        child_R = torch.searchsorted(self._edge_N, wanted_R) + 1
        return (child_R - self._first_N[node_R]).clamp_(min=0)  # behind an end: nowhere else


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
