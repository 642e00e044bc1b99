"""Ids drawn at random, the same ones for the same seed.

Legend: A sources, K draws of a source, B sources still running, R = B * K, T ids of an
answer, C ids that a draw is from.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from unified_vl.data.example import Example


class Sampler:
    """Draws ids; the same seed gives the same draws whatever else is in the batch.

    Temperature, then the `top_k` likeliest, then the fewest whose probability reaches
    `top_p` (nucleus sampling, arXiv 1904.09751).

    Args:
        uniform_AKT: numbers in [0, 1), one for every id that may be drawn.
        temperature: divides log-probabilities.
        top_k: how many ids a draw is from; None is all.
        top_p: the probability that they hold together; None is all.
    """

    def __init__(
        self,
        uniform_AKT: torch.Tensor,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        self._uniform_AKT = uniform_AKT
        self._temperature = temperature
        self._top_k = top_k
        self._top_p = top_p

    def __call__(self, score_RC: torch.Tensor, source_B: torch.Tensor, step: int) -> torch.Tensor:
        """Places (R,) among log-probabilities (R, C)."""
        size = score_RC.shape[-1]
        sorted_RC, place_RC = score_RC.topk(min(self._top_k or size, size))
        probability_RC = (sorted_RC / self._temperature).softmax(-1)
        if self._top_p is not None:
            before_RC = probability_RC.cumsum(-1) - probability_RC
            probability_RC = probability_RC.where(before_RC < self._top_p, 0.0)
        total_RC = probability_RC.cumsum(-1)
        uniform_R1 = self._uniform_AKT[source_B, :, step].reshape(-1, 1)
        # the total's own rounding must not pick what has probability zero
        target_R1 = torch.minimum(uniform_R1 * total_RC[:, -1:], total_RC[:, -1:])
        drawn_R1 = torch.searchsorted(total_RC, target_R1).clamp_(max=total_RC.shape[-1] - 1)
        return place_RC.gather(1, drawn_R1)[:, 0]


def uniform_numbers(
    examples: Sequence[Example], draws: int, positions: int, seed: int
) -> torch.Tensor:
    """Numbers in [0, 1) of every row, draw and position (A, K, T).

    They depend on the seed and the row's number in its file, and not on the batch.
    """
    numbers = []
    for example in examples:
        row = zlib.crc32(example.where.rpartition(":")[2].encode())
        random = np.random.Generator(np.random.Philox(key=[seed, row]))
        numbers.append(random.random((draws, positions), dtype=np.float32))
    return torch.from_numpy(np.stack(numbers))
