"""Pre-norm blocks of the encoder and of the decoder, as in T5 v1.1.

Legend: B batch, S source length, T target length, M width (d_model), F inner width,
I width of all heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import CrossAttention, SelfAttention
from unified_vl.model.layers.linear import Linear
from unified_vl.model.layers.positions import RelativePositionBias

Bias = TypeVar("Bias")  # a tensor, or those of groups of rows
Attend = Callable[[torch.Tensor], torch.Tensor]
"""Attention, but for the products with weights before and behind it."""

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
}


def rms_norm(config: UnifiedVLConfig) -> nn.RMSNorm:
    """Divides by the root mean square, and scales; no mean, no bias (arXiv 1910.07467)."""
    return nn.RMSNorm(config.d_model, config.layer_norm_epsilon)


class FeedForward(nn.Module):
    """A gated linear unit (arXiv 2002.05202), whose gate and value are one product; or, as in
    T5 v1.0 (arXiv 1910.10683), two products with an activation between them."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.gated = config.gated
        inner = 2 * config.d_ff if self.gated else config.d_ff
        self.wi = Linear(config.d_model, (inner, config.d_model**-0.5))
        self.wo = Linear(config.d_ff, (config.d_model, config.d_ff**-0.5))
        self.dropout = nn.Dropout(config.dropout_rate)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x_BSM: torch.Tensor) -> torch.Tensor:
        if not self.gated:
            return self.wo(self.dropout(self.activation(self.wi(x_BSM))))
        gate_BSF, value_BSF = self.wi(x_BSM).chunk(2, dim=-1)
        return self.wo(self.dropout(self.activation(gate_BSF) * value_BSF))


def bias_of_layer(
    config: UnifiedVLConfig, layer: int, *, bidirectional: bool
) -> RelativePositionBias | None:
    """The position biases of a layer, where it has some of its own."""
    if layer > 0 and not config.bias_per_layer:
        return None
    return RelativePositionBias(
        config.relative_attention_num_buckets,
        config.relative_attention_max_distance,
        config.num_heads,
        bidirectional=bidirectional,
    )


def own_biases(blocks: Iterable[Any]) -> list[RelativePositionBias]:
    """The position biases of the layers that have one."""
    return [block.position_bias for block in blocks if block.position_bias is not None]


def of_each_layer(blocks: Iterable[Any], own: Iterable[Bias]) -> Iterator[Bias]:
    """The bias of each layer, made of those of `own_biases`: the others take that of the layer
    before. Each is asked for when its layer is, so that no two need be held."""
    left = iter(own)
    for block in blocks:
        if block.position_bias is not None:
            bias = next(left)
        yield bias


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, config: UnifiedVLConfig, layer: int) -> None:
        super().__init__()
        self.position_bias = bias_of_layer(config, layer, bidirectional=True)
        self.norm_self = rms_norm(config)
        self.attend_self = SelfAttention(config, layer)
        self.norm_feed = rms_norm(config)
        self.feed = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x_BSM: torch.Tensor, attend_self: Attend) -> torch.Tensor:
        """Hidden states (B, S, M); or (N, M) of tokens alone, where `attend_self` knows the rows.

        Args:
            x_BSM: hidden states.
            attend_self: reads the source: from query, key and value in one (B, S, 3 * I) to
                (B, S, I).
        """
        qkv_BSI = self.attend_self.qkv(self.norm_self(x_BSM))
        x_BSM = x_BSM + self.dropout(self.attend_self.out(attend_self(qkv_BSI)))
        return x_BSM + self.dropout(self.feed(self.norm_feed(x_BSM)))


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to the source, feed-forward."""

    def __init__(self, config: UnifiedVLConfig, layer: int) -> None:
        super().__init__()
        self.position_bias = bias_of_layer(config, layer, bidirectional=False)
        self.norm_self = rms_norm(config)
        self.attend_self = SelfAttention(config, layer)
        self.norm_cross = rms_norm(config)
        self.attend_cross = CrossAttention(config, layer)
        self.norm_feed = rms_norm(config)
        self.feed = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(
        self, x_BTM: torch.Tensor, attend_self: Attend, attend_cross: Attend
    ) -> torch.Tensor:
        """Hidden states (B, T, M), in training, of a whole target and of a step alike: what differs
        is how the past is kept and read.

        Args:
            x_BTM: hidden states of what is new.
            attend_self: reads the target so far: from query, key and value of what is new, in
                one (B, T, 3 * I), to (B, T, I).
            attend_cross: reads the source: from a query (B, T, I) to (B, T, I).
        """
        qkv_BTI = self.attend_self.qkv(self.norm_self(x_BTM))
        x_BTM = x_BTM + self._dropped(self.attend_self.out(attend_self(qkv_BTI)))
        query_BTI = self.attend_cross.q(self.norm_cross(x_BTM))
        x_BTM = x_BTM + self._dropped(self.attend_cross.out(attend_cross(query_BTI)))
        return x_BTM + self._dropped(self.feed(self.norm_feed(x_BTM)))

    def _dropped(self, x_BTM: torch.Tensor) -> torch.Tensor:
        return self.dropout(x_BTM) if self.training else x_BTM  # a step has no time for calls
