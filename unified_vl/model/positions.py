"""T5's relative position bias (arXiv 1910.10683, section 2.1).

Legend: H heads, Q query length, K key length.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import nn


@lru_cache(maxsize=512)
def _buckets_QK(
    queries: int,
    keys: int,
    offset: int,
    bidirectional: bool,
    buckets: int,
    max_distance: int,
    device: torch.device,
) -> torch.Tensor:
    """The bucket of every (query, key) pair; the first query stands at `offset`."""
    with torch.inference_mode(False):
        position_Q = torch.arange(queries, device=device)[:, None] + offset
        distance_QK = torch.arange(keys, device=device)[None, :] - position_Q
        base_QK = torch.zeros_like(distance_QK)
        if bidirectional:
            buckets //= 2
            base_QK = (distance_QK > 0).long() * buckets
            distance_QK = distance_QK.abs()
        else:
            distance_QK = -distance_QK.clamp(max=0)
        exact = buckets // 2
        ratio_QK = torch.log(distance_QK.clamp(min=1).float() / exact)
        log_QK = exact + (ratio_QK / math.log(max_distance / exact) * (buckets - exact)).long()
        log_QK = log_QK.clamp(max=buckets - 1)
        return base_QK + torch.where(distance_QK < exact, distance_QK, log_QK)


class RelativePositionBias(nn.Module):
    """A learned number per head and bucket of distance, added to attention scores."""

    def __init__(self, buckets: int, max_distance: int, heads: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(buckets, heads))

    def forward(self, queries: int, keys: int, offset: int = 0) -> torch.Tensor:
        """The bias, shape (1, H, Q, K)."""
        index_QK = _buckets_QK(
            queries,
            keys,
            offset,
            self.bidirectional,
            self.buckets,
            self.max_distance,
            self.weight.device,
        )
        bias_QKH = nn.functional.embedding(index_QK, self.weight)
        return bias_QKH.permute(2, 0, 1).unsqueeze(0)
