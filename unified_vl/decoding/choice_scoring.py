"""How likely every one of many answers is, with what they share computed once.

The encoder runs once a source. The answers are walked as a tree of prefixes, level by
level, so that two answers part only where they differ.

Legend: B sources, C choices, K inner nodes of a level, M width (d_model), E edges to the
next level (one a node of it), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unified_vl.decoding.grammars.trie import Trie, build_trie
from unified_vl.decoding.protocol import Memory, PrefixDecoder, start_tree
from unified_vl.model.backbone import Backbone

MOST_CHOICES = 2048  # of one tree; bounds the keys and values that are held
MOST_ROWS = 4096  # sources times nodes of a level that are computed at once
MOST_LOGITS = 1 << 24  # numbers of logits that are held at once


@dataclass(frozen=True)
class _Level:
    """The edges from the inner nodes of one level to the nodes of the next.

    Attributes:
        token_K: the id that led to each inner node.
        parent_K: its parent's place among the inner nodes of the level before.
        origin_E: the inner node that an edge leaves, in rising order.
        token_E: the id that it writes.
        inner_E: whether its end is an inner node.
        first_K: the first edge of each inner node, and E.
    """

    token_K: torch.Tensor
    parent_K: torch.Tensor
    origin_E: torch.Tensor
    token_E: torch.Tensor
    inner_E: torch.Tensor
    first_K: list[int]


class ChoiceScorer:
    """Log-probabilities of closed answers.

    Args:
        choices: ids of each, ending in eos.
        start_id: what a decoder reads first.
        device: where the model is.
    """

    def __init__(
        self, choices: Sequence[Sequence[int]], start_id: int, device: torch.device
    ) -> None:
        self.lengths_C = torch.tensor([len(c) for c in choices], device=device)
        order = sorted(range(len(choices)), key=lambda i: tuple(choices[i]))
        self._trees = []
        for start in range(0, len(order), MOST_CHOICES):
            part = order[start : start + MOST_CHOICES]
            trie = build_trie([choices[i] for i in part])
            places = torch.tensor(part, device=device)
            self._trees.append(_Tree(trie, places, start_id, device))

    def __call__(self, model: Backbone, memory: Memory) -> torch.Tensor:
        """Sums of log-probabilities (natural), eos included, (B, C)."""
        sources = len(memory.mask_AS)
        score_BC = torch.empty((sources, len(self.lengths_C)), device=memory.mask_AS.device)
        for tree in self._trees:
            at_once = max(1, MOST_ROWS // tree.widest)
            for start in range(0, sources, at_once):
                rows = slice(start, start + at_once)
                score_BC[rows, tree.places_C] = tree.score(model, memory.rows(rows))
        return score_BC


class _Tree:
    def __init__(
        self, trie: Trie, places_C: torch.Tensor, start_id: int, device: torch.device
    ) -> None:
        self.places_C = places_C
        self._leaf_C = torch.from_numpy(trie.leaf_C - 1).to(device)  # the root gets no score
        self._levels = _levels(trie, start_id, device)
        self.widest = max(len(level.token_K) for level in self._levels)

    def score(self, model: Backbone, memory: Memory) -> torch.Tensor:
        sources = len(memory.mask_AS)
        decoder = start_tree(model, memory, len(self._levels))
        total_BK = torch.zeros((sources, 1), device=memory.mask_AS.device)
        totals = []
        for level in self._levels:
            decoder.descend(level.parent_K)
            hidden_BKM = decoder.step(level.token_K.expand(sources, -1))
            total_BE = total_BK[:, level.origin_E] + _edges(decoder, hidden_BKM, level)
            totals.append(total_BE)
            total_BK = total_BE[:, level.inner_E]
        return torch.cat(totals, 1)[:, self._leaf_C]


def _edges(decoder: PrefixDecoder, hidden_BKM: torch.Tensor, level: _Level) -> torch.Tensor:
    """The log-probability of every edge (B, E), some inner nodes at a time."""
    sources, nodes, _ = hidden_BKM.shape
    at_once = max(1, MOST_LOGITS // (sources * decoder.model.config.vocab_size))
    parts = []
    for start in range(0, nodes, at_once):
        stop = min(start + at_once, nodes)
        edges = slice(level.first_K[start], level.first_K[stop])
        logits_RV = decoder.model.logits(hidden_BKM[:, start:stop].flatten(0, 1)).float()
        log_probability_BKV = logits_RV.log_softmax(-1).unflatten(0, (sources, stop - start))
        parts.append(log_probability_BKV[:, level.origin_E[edges] - start, level.token_E[edges]])
    return torch.cat(parts, 1)


def _levels(trie: Trie, start_id: int, device: torch.device) -> list[_Level]:
    """The levels that have inner nodes."""
    inner_N = trie.children_N > 0
    place_N = np.zeros(len(inner_N), dtype=np.int64)  # among the inner nodes of its level
    levels = []

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    for level in range(trie.depth):
        nodes = np.arange(trie.level_starts[level], trie.level_starts[level + 1])
        nodes = nodes[inner_N[nodes]]
        place_N[nodes] = np.arange(len(nodes))
        after = slice(trie.level_starts[level + 1], trie.level_starts[level + 2])
        levels.append(
            _Level(
                token_K=tensor(trie.token_N[nodes] if level else np.array([start_id])),
                parent_K=tensor(place_N[trie.parent_N[nodes]] if level else np.array([0])),
                origin_E=tensor(place_N[trie.parent_N[after]]),
                token_E=tensor(trie.token_N[after]),
                inner_E=tensor(inner_N[after]),
                first_K=[0, *np.cumsum(trie.children_N[nodes]).tolist()],
            )
        )
    return levels
