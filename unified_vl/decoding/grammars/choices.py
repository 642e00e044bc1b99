"""The grammar of closed answers: one of the choices, whole.

Legend: R hypotheses, V vocabulary, N nodes of a trie, C ids that may be written, F numbers that a
grammar remembers of a hypothesis.
"""

from __future__ import annotations

import numpy as np
import torch

from unified_vl.decoding.grammars.grammar import Grammar, Scored
from unified_vl.decoding.grammars.trie import Trie


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
        self._token_N = tensor(np.append(trie.token_N, trie.end_id))
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
