"""Closed answers as a tree of their token prefixes, in flat arrays.

Nodes are numbered level by level and, within a level, in the order of their prefixes, so
the children of a node are neighbours and a node's number tells its incoming edge.

Legend: C choices, L longest choice in ids, N nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Trie:
    """Which ids may follow which prefix.

    Attributes:
        token_N: the id that leads to a node; -1 for the root, node 0.
        parent_N: the node before it; -1 for the root.
        first_child_N: the first of its children, which are neighbours.
        children_N: how many; 0 where a choice ends.
        level_starts: the first node of each level, and N.
        leaf_C: the node at which each choice ends, in the order that they were given.
    """

    token_N: IntArray
    parent_N: IntArray
    first_child_N: IntArray
    children_N: IntArray
    level_starts: tuple[int, ...]
    leaf_C: IntArray

    @property
    def end_id(self) -> int:
        """The id that all choices end in."""
        return int(self.token_N[self.leaf_C[0]])

    @property
    def depth(self) -> int:
        """Ids of the longest choice."""
        return len(self.level_starts) - 2


def build_trie(choices: Sequence[Sequence[int]]) -> Trie:
    """The trie of sequences that all end in one id which no sequence has within.

    Equal sequences share a leaf.

    Raises:
        ValueError: when there is none.

    >>> trie = build_trie([[5, 6, 1], [5, 1], [7, 1]])
    >>> trie.token_N.tolist()
    [-1, 5, 7, 1, 6, 1, 1]
    >>> trie.first_child_N.tolist()[:5], trie.children_N.tolist()
    ([1, 3, 5, 6, 6], [2, 2, 1, 0, 1, 0, 0])
    """
    if not choices:
        raise ValueError("a trie needs a sequence")
    length_C = np.fromiter(map(len, choices), np.int64, len(choices))
    longest = int(length_C.max())
    ids_CL = np.full((len(choices), longest), -1, dtype=np.int64)
    ids_CL[np.arange(longest) < length_C[:, None]] = np.concatenate(
        [np.asarray(c, dtype=np.int64) for c in choices]
    )
    order_C = np.lexsort(ids_CL.T[::-1])
    ids_CL, length_C = ids_CL[order_C], length_C[order_C]
    differs_CL = np.ones((len(choices), longest), dtype=bool)
    differs_CL[1:] = np.logical_or.accumulate(ids_CL[1:] != ids_CL[:-1], axis=1)
    node_C = np.zeros(len(choices), dtype=np.int64)  # where each choice stands
    tokens, parents, starts = [np.array([-1])], [np.array([-1])], [0, 1]
    for level in range(longest):
        new_C = differs_CL[:, level] & (length_C > level)
        tokens.append(ids_CL[new_C, level])
        parents.append(node_C[new_C])
        number_C = starts[-1] + np.cumsum(new_C) - 1
        node_C = np.where(length_C > level, number_C, node_C)
        starts.append(starts[-1] + int(new_C.sum()))
    parent_N = np.concatenate(parents)
    children_N = np.bincount(parent_N[1:], minlength=len(parent_N))
    leaf_C = np.empty_like(node_C)
    leaf_C[order_C] = node_C
    return Trie(
        token_N=np.concatenate(tokens),
        parent_N=parent_N,
        first_child_N=1 + np.cumsum(children_N) - children_N,
        children_N=children_N,
        level_starts=tuple(starts),
        leaf_C=leaf_C,
    )
