"""The decoder: writes the target, and reads what the encoder made of the source.

Legend: B batch, S source length, T target length, M width (d_model).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import EncoderDecoderCache

from unified_vl.model.activation_checkpointing import through
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import add_bias, padding_bias
from unified_vl.model.layers.blocks import DecoderBlock, of_each_layer, own_biases, rms_norm


class Decoder(nn.Module):
    """Causal blocks that read the encoder's output."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        depth = config.num_decoder_layers
        self.blocks = nn.ModuleList(DecoderBlock(config, i) for i in range(depth))
        self.norm = rms_norm(config)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.checkpointed = False  # by `checkpoint_activations`

    def forward(
        self,
        x_BTM: torch.Tensor,
        memory_BSM: torch.Tensor,
        memory_mask_BS: torch.Tensor | None,
        mask_BT: torch.Tensor | None,
        cache: EncoderDecoderCache | None,
    ) -> torch.Tensor:
        past = 0 if cache is None else int(cache.get_seq_length())
        queries = x_BTM.shape[1]
        keys = past + queries
        memory_bias = padding_bias(memory_mask_BS, x_BTM.dtype)
        rule = add_bias(self.causal(queries, keys, x_BTM), padding_bias(mask_BT, x_BTM.dtype))
        rule = rule.clamp(min=torch.finfo(x_BTM.dtype).min)  # two masks must not add to -inf
        x_BTM = self.dropout(x_BTM)
        source: dict[str, Any] = {"memory_BKM": memory_BSM, "bias": memory_bias, "cache": cache}
        own = (bias(queries, keys, past) + rule for bias in own_biases(self.blocks))
        blocks: list[Any] = list(self.blocks)
        for block, bias in zip(blocks, of_each_layer(blocks, own), strict=True):
            read_own = partial(block.attend_self.read, bias=bias, cache=cache)
            read_source = partial(block.attend_cross.read, **source)
            x_BTM = through(block, x_BTM, read_own, read_source, checkpointed=self.checkpointed)
        return self.dropout(self.norm(x_BTM))

    @staticmethod
    def causal(queries: int, keys: int, like: torch.Tensor) -> torch.Tensor:
        """0 for what a query may see, the most negative number for what comes later."""
        floor = torch.finfo(like.dtype).min
        full = torch.full((queries, keys), floor, dtype=like.dtype, device=like.device)
        return full.triu(diagonal=keys - queries + 1)
