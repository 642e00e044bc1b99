"""The parts of a model as functions of tensors, from which graphs are made.

Three of them answer: `encoder` reads a source, `first` the first ids of a target, `next` those
that follow, on keys and values that the steps before gave. Names of inputs and outputs are those
of Hugging Face Optimum's exports.

Legend: B sources, S source length, T target length, P positions so far, N images, M width
(d_model), H heads, D width of a head, V vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.model.layers.attention import padding_bias
from unified_vl.model.layers.blocks import of_each_layer, own_biases
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

Tensors = tuple[torch.Tensor, ...]


class EncoderGraph(nn.Module):
    """Ids, mask and, of a model that sees, images to hidden states (B, S, M)."""

    def __init__(self, model: UnifiedVLForConditionalGeneration) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(
        self, ids_BS: torch.Tensor, mask_BS: torch.Tensor, pixels_NCHW: torch.Tensor | None = None
    ) -> torch.Tensor:
        encoder = self.encoder
        x_BSM = encoder.embedding(ids_BS)
        if encoder.code_positions is not None:
            x_BSM = x_BSM + encoder.code_positions(ids_BS, encoder.code_positions.places(ids_BS))
        if encoder.vision is not None and pixels_NCHW is not None:
            placed_NPM, _ = encoder.vision(pixels_NCHW)
            x_BSM = self._with_images(ids_BS, x_BSM, placed_NPM)
        length = ids_BS.shape[1]
        positions = [bias(length, length) for bias in own_biases(encoder.blocks)]
        return encoder.through_blocks(x_BSM, positions, padding_bias(mask_BS, x_BSM.dtype))

    def _with_images(
        self, ids_BS: torch.Tensor, x_BSM: torch.Tensor, placed_NPM: torch.Tensor
    ) -> torch.Tensor:
        """Features in the places of images: a scatter by a mask has no equal in ONNX."""
        places_BS = ids_BS.eq(self.encoder.image_token_id or 0)
        number_BS = places_BS.flatten().cumsum(0).view_as(ids_BS)
        # row 0 is what the other places look up, so that there may be no images
        feature_XM = F.pad(placed_NPM.flatten(0, 1), (0, 0, 1, 0))
        found_BSM = F.embedding(number_BS * places_BS, feature_XM)
        return torch.where(places_BS[..., None], found_BSM, x_BSM)


class StepGraph(nn.Module):
    """What both steps share."""

    def __init__(self, model: UnifiedVLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        self.heads = int(model.config.num_heads)

    def step(
        self, ids_BT: torch.Tensor, mask_BS: torch.Tensor, own: Tensors, cross: Tensors
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits (B, T, V), and keys and values (B, H, P + T, D) of each layer.

        Args:
            ids_BT: what is read.
            mask_BS: of the source.
            own: keys and values (B, H, P, D) of each layer; none at the start.
            cross: those of the source (B, H, S, D).
        """
        past = own[0].shape[2] if own else 0
        queries = ids_BT.shape[1]
        keys = past + queries
        blocks: list[Any] = list(self.model.decoder.blocks)
        x_BTM = self.model.encoder.embed_target(ids_BT, past)
        memory_bias = padding_bias(mask_BS, x_BTM.dtype)
        position_Q1 = torch.arange(queries, device=ids_BT.device)[:, None] + past
        later_QK = torch.arange(keys, device=ids_BT.device) > position_Q1
        rule_QK = later_QK.to(x_BTM.dtype) * torch.finfo(x_BTM.dtype).min
        kept: list[torch.Tensor] = []

        def attend_self(layer: int, bias: torch.Tensor, qkv_BTI: torch.Tensor) -> torch.Tensor:
            attention = blocks[layer].attend_self
            query, *newest = map(attention.split, qkv_BTI.chunk(3, dim=-1))
            older = own[2 * layer : 2 * layer + 2]
            if older:
                newest = [torch.cat(pair, 2) for pair in zip(older, newest, strict=True)]
            kept.extend(newest)
            return attention.attend(query, *newest, bias)

        def attend_cross(layer: int, query_BTI: torch.Tensor) -> torch.Tensor:
            attention = blocks[layer].attend_cross
            key, value = cross[2 * layer : 2 * layer + 2]
            return attention.attend(attention.split(query_BTI), key, value, memory_bias)

        biases = (bias(queries, keys, past) + rule_QK for bias in own_biases(blocks))
        for layer, bias in enumerate(of_each_layer(blocks, biases)):
            read_own = partial(attend_self, layer, bias)
            x_BTM = blocks[layer](x_BTM, read_own, partial(attend_cross, layer))
        return self.model.logits(self.model.decoder.norm(x_BTM)), kept


class FirstGraph(StepGraph):
    """The first ids of a target and the encoder's output to logits and all keys and values."""

    def forward(
        self, ids_BT: torch.Tensor, mask_BS: torch.Tensor, memory_BSM: torch.Tensor
    ) -> Tensors:
        cross: list[torch.Tensor] = []
        for block in self.model.decoder.blocks:
            attention: Any = block.attend_cross
            cross += map(attention.split, attention.kv(memory_BSM).chunk(2, dim=-1))
        logits_BTV, kept = self.step(ids_BT, mask_BS, (), tuple(cross))
        return (logits_BTV, *kept, *cross)


class NextGraph(StepGraph):
    """The next ids and keys and values so far to logits and those with the ids'."""

    def forward(
        self,
        ids_BT: torch.Tensor,
        mask_BS: torch.Tensor,
        own: list[torch.Tensor],
        cross: list[torch.Tensor],
    ) -> Tensors:
        logits_BTV, kept = self.step(ids_BT, mask_BS, tuple(own), tuple(cross))
        return (logits_BTV, *kept)
