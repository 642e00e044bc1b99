"""Multi-head attention with one additive bias; scores are unscaled, as in T5, or scaled.

Legend: B batch, H heads, Q query length, K key length, D width of a head,
M width of the model (d_model), I = H * D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.cache_utils import EncoderDecoderCache

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.linear import Linear

FEWEST_FUSED_QUERIES = 16
Watched = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], None]
"""Sees queries (B, H, Q, D), keys (B, H, K, D) and bias."""


def attend(
    query_BHQD: torch.Tensor,
    key_BHKD: torch.Tensor,
    value_BHKD: torch.Tensor,
    bias: torch.Tensor | None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """softmax(q k^T + bias) v, shape (B, H, Q, D); no scale, as in T5.

    `bias` broadcasts to (B, H, Q, K) and holds position bias, padding and causality.
    While learning on a CPU plain matrix products win over the fused kernel, whose
    backward with a learned bias is slow there, and always for a few queries; elsewhere
    the fused kernel wins (`benchmarks/speed.py`).
    """
    learning = torch.is_grad_enabled() or dropout > 0
    # a program that is compiled is for any number of queries
    few = not torch.compiler.is_compiling() and query_BHQD.shape[2] < FEWEST_FUSED_QUERIES
    if query_BHQD.device.type != "cpu" or not (learning or few):
        return F.scaled_dot_product_attention(
            query_BHQD, key_BHKD, value_BHKD, attn_mask=bias, dropout_p=dropout, scale=1.0
        )
    score_BHQK = query_BHQD @ key_BHKD.transpose(-1, -2)
    if bias is not None:
        score_BHQK = score_BHQK + bias
    weight_BHQK = score_BHQK.softmax(dim=-1)
    if dropout:
        weight_BHQK = F.dropout(weight_BHQK, dropout)
    return weight_BHQK @ value_BHKD


class _Attention(nn.Module):
    """What both kinds of attention share: the heads and the way out."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.heads = config.num_heads
        self.inner = config.num_heads * config.d_kv
        self.dropout = config.dropout_rate
        self.scale = config.d_kv**-0.5 if config.scale_attention else 1.0
        # what is not in the scale of the scores is in that of the first queries
        self.folded = 1.0 if config.scale_attention else config.d_kv**0.5
        self.out = Linear(self.inner, (config.d_model, self.inner**-0.5))
        self.watched: Watched | None = None  # by `learning.lessons.Watch`

    def scaled(self, query: torch.Tensor) -> torch.Tensor:
        """A query whose products with keys are the scores."""
        return query if self.scale == 1.0 else query * self.scale

    def split(self, x_BTI: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x_BTI.shape
        return x_BTI.view(batch, length, self.heads, -1).transpose(1, 2)

    def attend(
        self,
        query_BHQD: torch.Tensor,
        key_BHKD: torch.Tensor,
        value_BHKD: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        dropout = self.dropout if self.training else 0.0
        query_BHQD = self.scaled(query_BHQD)
        if self.watched is not None:
            self.watched(query_BHQD, key_BHKD, bias)
        y_BHQD = attend(query_BHQD, key_BHKD, value_BHKD, bias, dropout)
        return y_BHQD.transpose(1, 2).flatten(2)


class SelfAttention(_Attention):
    """Attention of a sequence to itself; query, key and value are one product."""

    def __init__(self, config: UnifiedVLConfig, layer: int) -> None:
        super().__init__(config)
        self.layer = layer
        start = config.d_model**-0.5
        self.qkv = Linear(
            config.d_model, (self.inner, start / self.folded), (2 * self.inner, start)
        )

    def read(
        self,
        qkv_BQI: torch.Tensor,
        bias: torch.Tensor | None,
        cache: EncoderDecoderCache | None = None,
    ) -> torch.Tensor:
        """What is read of a sequence (B, Q, I), and of what a cache holds of it.

        Args:
            qkv_BQI: query, key and value in one (B, Q, 3 * I).
            bias: as `attend` has it.
            cache: takes the keys and values in.
        """
        query, key, value = map(self.split, qkv_BQI.split(self.inner, dim=-1))
        if cache is not None:
            key, value = cache.self_attention_cache.update(key, value, self.layer)
        return self.attend(query, key, value, bias)


class CrossAttention(_Attention):
    """Attention of the decoder to the encoder's output, whose keys are computed once."""

    def __init__(self, config: UnifiedVLConfig, layer: int) -> None:
        super().__init__(config)
        self.layer = layer
        start = config.d_model**-0.5
        self.q = Linear(config.d_model, (self.inner, start / self.folded))
        self.kv = Linear(config.d_model, (2 * self.inner, start))

    def read(
        self,
        query_BQI: torch.Tensor,
        memory_BKM: torch.Tensor,
        bias: torch.Tensor | None,
        cache: EncoderDecoderCache | None = None,
    ) -> torch.Tensor:
        """What is read of the encoder's output (B, Q, I).

        Args:
            query_BQI: the queries.
            memory_BKM: the encoder's output.
            bias: as `attend` has it.
            cache: holds its keys and values, or takes them in.
        """
        query = self.split(query_BQI)
        if cache is not None and cache.is_updated.get(self.layer):
            kept: Any = cache.cross_attention_cache.layers[self.layer]
            return self.attend(query, kept.keys, kept.values, bias)
        key, value = map(self.split, self.kv(memory_BKM).split(self.inner, dim=-1))
        if cache is not None:
            key, value = cache.cross_attention_cache.update(key, value, self.layer)
            cache.is_updated[self.layer] = True
        return self.attend(query, key, value, bias)

    def read_products(
        self, query_BQI: torch.Tensor, kv_BKI: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """The same of keys and values in one (B, K, 2 * I), as `kv` gives them."""
        key, value = map(self.split, kv_BKI.split(self.inner, dim=-1))
        return self.attend(self.split(query_BQI), key, value, bias)


def padding_bias(mask_BS: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """0 where the mask is 1 and the most negative number where it is 0: (B, 1, 1, S)."""
    if mask_BS is None:
        return None
    return (1.0 - mask_BS[:, None, None, :].to(dtype)) * torch.finfo(dtype).min


def add_bias(bias: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor:
    """Both together; the first alone where there is nothing to hide."""
    return bias if other is None else bias + other
