"""Where a token is: T5's relative position bias (arXiv 1910.10683, section 2.1), and the rows
and columns of an image's codes.

Legend: H heads, Q query length, K key length, B batch, L length, M width (d_model).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.lookup import Embedding, lookup


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

    bucket_D: torch.Tensor | None  # the bucket of each distance, by `tabulate`

    def __init__(self, buckets: int, max_distance: int, heads: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(buckets, heads))
        self.register_buffer("bucket_D", None, persistent=False)

    def forward(self, queries: int, keys: int, offset: int = 0) -> torch.Tensor:
        """The bias, shape (1, H, Q, K)."""
        if self.bucket_D is not None:
            return self._by_distance(self.bucket_D, queries, keys, offset)
        index_QK = _buckets_QK(
            queries,
            keys,
            offset,
            self.bidirectional,
            self.buckets,
            self.max_distance,
            self.weight.device,
        )
        bias_QKH = lookup(index_QK, self.weight)
        return bias_QKH.permute(2, 0, 1).unsqueeze(0)

    def tabulate(self) -> None:
        """Look buckets up by distance from now on, so that lengths may be unknown: no cache has
        those as its keys, and whoever runs what is exported may round a logarithm otherwise.

        From `max_distance` on all are in the last bucket.
        """
        far = self.max_distance
        sizes = (self.bidirectional, self.buckets, far, self.weight.device)
        before_1D = _buckets_QK(1, far + 1, far, *sizes)
        behind_1D = _buckets_QK(1, far + 1, 0, *sizes)
        bucket_D = torch.cat([before_1D[0], behind_1D[0, 1:]])
        self.register_buffer("bucket_D", bucket_D, persistent=False)

    def _by_distance(
        self, bucket_D: torch.Tensor, queries: int, keys: int, offset: int
    ) -> torch.Tensor:
        far, device = self.max_distance, self.weight.device
        position_Q1 = torch.arange(queries, device=device)[:, None] + offset
        distance_QK = torch.arange(keys, device=device)[None, :] - position_Q1
        bias_DH = F.embedding(bucket_D, self.weight)
        bias_QKH = F.embedding(distance_QK.clamp(-far, far) + far, bias_DH)
        return bias_QKH.permute(2, 0, 1).unsqueeze(0)


class CodePositions(nn.Module):
    """A learned row and column for each code of an image, also where it is masked.

    Distances in buckets are too coarse to tell the codes of a grid apart.
    """

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        assert config.code_grid is not None and config.code_token_ids is not None
        self.rows, self.columns = config.code_grid
        self.start, self.stop = config.code_token_ids
        self.mask_id = config.code_mask_id
        self.row = Embedding(self.rows, config.d_model)
        self.column = Embedding(self.columns, config.d_model)

    def forward(self, ids_BL: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """What is added to embeddings (B, L, M): nothing where an id is no code.

        Args:
            ids_BL: of a sequence.
            place: of each id among the codes of an image (B, L) or (L,); any number else.
        """
        place = place % (self.rows * self.columns)
        position_LM = self.row(place // self.columns) + self.column(place % self.columns)
        return position_LM * self._coded(ids_BL).unsqueeze(-1).to(position_LM.dtype)

    def places(self, ids_BL: torch.Tensor) -> torch.Tensor:
        """How many codes stand before each in its run, (B, L); images may follow each other."""
        index_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
        other_BL = torch.where(self._coded(ids_BL), -1, index_L)
        if torch.compiler.is_exporting():  # formats of others know no running maximum
            past_LL = index_L[:, None] >= index_L
            return index_L - torch.where(past_LL, other_BL[:, None], -1).amax(-1) - 1
        return index_L - other_BL.cummax(-1).values - 1

    def _coded(self, ids_BL: torch.Tensor) -> torch.Tensor:
        coded_BL = (ids_BL >= self.start) & (ids_BL < self.stop)
        return coded_BL if self.mask_id is None else coded_BL | (ids_BL == self.mask_id)
