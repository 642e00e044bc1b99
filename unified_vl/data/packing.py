"""Batches without padding: which tokens there are, and which rows attend side by side.

All products with weights are computed on the tokens alone, one behind the other. Attention alone
needs rows: examples of like lengths form a group, whose rows are filled up to its longest. No
example ever shares a row with another, so nothing has to be hidden, and positions begin anew.

Legend: B rows, S source length, T target length, N tokens, P places of all groups' rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

MOST_BLOCKS = 128  # of rows that groups are made of: what is tried grows with its square
OVERHEAD = 1 << 14  # what a group costs beside its pairs of tokens, in pairs
Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Places:
    """Where tokens stand in groups, and back.

    Attributes:
        token_N: the place of each token in its padded batch, row by row.
        take_P: the token at each place of the groups; one of the same row where there is none.
        back_N: the place of each token in the groups.
        empty_E: the places without a token.
    """

    token_N: torch.Tensor
    take_P: torch.Tensor
    back_N: torch.Tensor
    empty_E: torch.Tensor

    def changed(self, change: Change) -> Places:
        """The same with something done to each of its tensors."""
        return Places(**{name: change(tensor) for name, tensor in vars(self).items()})


@dataclass(frozen=True)
class Group:
    """Rows that attend side by side.

    Attributes:
        rows: their number.
        source, target: the longest.
        source_mask_BS, target_mask_BT: bool, False where one has ended; None where none has.
    """

    rows: int
    source: int
    target: int
    source_mask_BS: torch.Tensor | None
    target_mask_BT: torch.Tensor | None

    def changed(self, change: Change) -> Group:
        """The same with something done to each of its tensors."""
        masks = (self.source_mask_BS, self.target_mask_BT)
        changed = (None if mask is None else change(mask) for mask in masks)
        return Group(self.rows, self.source, self.target, *changed)


@dataclass(frozen=True)
class Packing:
    """A batch's tokens and groups."""

    groups: tuple[Group, ...]
    source: Places
    target: Places

    def changed(self, change: Change) -> Packing:
        """The same with something done to each of its tensors."""
        groups = tuple(group.changed(change) for group in self.groups)
        return Packing(groups, self.source.changed(change), self.target.changed(change))


def pack(sources: Sequence[int], targets: Sequence[int], width_S: int, width_T: int) -> Packing:
    """How a batch is computed without its padding.

    Args:
        sources, targets: tokens of each row.
        width_S, width_T: of the padded batch.
    """
    source_B, target_B = np.asarray(sources, np.int64), np.asarray(targets, np.int64)
    order = np.argsort(source_B + target_B, kind="stable")
    bounds = _bounds(source_B[order], target_B[order])
    rows_of = [order[start:stop] for start, stop in pairwise(bounds)]
    groups = []
    for rows in rows_of:
        longest = (int(source_B[rows].max()), int(target_B[rows].max()))
        masks = (_mask(source_B[rows]), _mask(target_B[rows]))
        groups.append(Group(len(rows), *longest, *masks))
    return Packing(
        tuple(groups), _places(source_B, rows_of, width_S), _places(target_B, rows_of, width_T)
    )


def _mask(length_B: np.ndarray) -> torch.Tensor | None:
    mask_BL = np.arange(length_B.max()) < length_B[:, None]
    return None if mask_BL.all() else torch.from_numpy(mask_BL)


def _places(length_B: np.ndarray, rows_of: Sequence[np.ndarray], width: int) -> Places:
    """Where the tokens of rows of these lengths stand in groups of rows."""
    before_B = np.cumsum(length_B) - length_B
    token_N = np.flatnonzero(np.arange(width) < length_B[:, None])
    takes, reals = [], []
    for rows in rows_of:
        place_L = np.arange(length_B[rows].max())
        reals.append((place_L < length_B[rows, None]).ravel())
        within_BL = np.minimum(place_L, length_B[rows, None] - 1)
        takes.append((before_B[rows, None] + within_BL).ravel())
    take_P, real_P = np.concatenate(takes), np.concatenate(reals)
    back_N = np.empty_like(token_N)
    back_N[take_P[real_P]] = np.flatnonzero(real_P)
    found = (token_N, take_P, back_N, np.flatnonzero(~real_P))
    return Places(*map(torch.from_numpy, found))


def _bounds(source_B: np.ndarray, target_B: np.ndarray) -> list[int]:
    """Where groups of rows in order begin and end, so that attention costs the least.

    A group costs its pairs of places (source to source, target to target and to source), and some
    more; the best cut is found from the first row on (Bellman's principle).
    """
    rows = len(source_B)
    edges = np.unique(np.linspace(0, rows, min(rows, MOST_BLOCKS) + 1).astype(np.int64))
    highest_S = np.maximum.reduceat(source_B, edges[:-1])
    highest_T = np.maximum.reduceat(target_B, edges[:-1])
    cost = np.zeros(len(edges))
    cut = np.zeros(len(edges), np.int64)
    for stop in range(1, len(edges)):
        longest_S = np.maximum.accumulate(highest_S[stop - 1 :: -1])[::-1].astype(np.float64)
        longest_T = np.maximum.accumulate(highest_T[stop - 1 :: -1])[::-1].astype(np.float64)
        pairs = longest_S**2 + longest_T**2 + longest_S * longest_T
        total = cost[:stop] + (edges[stop] - edges[:stop]) * pairs + OVERHEAD
        cut[stop] = total.argmin()
        cost[stop] = total[cut[stop]]
    bounds = [len(edges) - 1]
    while bounds[-1]:
        bounds.append(int(cut[bounds[-1]]))
    return [int(edges[each]) for each in reversed(bounds)]
