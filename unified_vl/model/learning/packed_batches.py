"""A batch computed of its tokens alone, without padding; attention is in groups of like lengths.

Legend: N tokens, P places of all groups' rows, S source length and T target length of a group,
B rows of a group, H heads, I width of all heads, M width (d_model), X features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from unified_vl.data.packing import Group, Packing, Places
from unified_vl.model.activation_checkpointing import through
from unified_vl.model.backbone import UnifiedVLOutput
from unified_vl.model.layers.attention import CrossAttention, SelfAttention
from unified_vl.model.layers.blocks import Attend, of_each_layer, own_biases
from unified_vl.model.learning.target_loss import Targets


class PackedBatch:
    """How attention reads a batch that is computed without padding.

    Args:
        packing: of the batch.
    """

    def __init__(self, packing: Packing) -> None:
        self.groups = packing.groups
        self.source, self.target = packing.source, packing.target

    def of_targets(self) -> PackedBatch:
        """Of the targets as sources."""
        groups = tuple(
            Group(each.rows, each.target, each.target, each.target_mask_BT, each.target_mask_BT)
            for each in self.groups
        )
        return PackedBatch(Packing(groups, self.target, self.target))

    def source_biases(self, position_1HSS: torch.Tensor) -> list[torch.Tensor]:
        """Of each group: its part of the position bias, and what hides where sources ended."""
        return [
            _hidden(position_1HSS[..., : each.source, : each.source], each) for each in self.groups
        ]

    def target_biases(self, rule_1HTT: torch.Tensor) -> list[torch.Tensor]:
        """Of each group: its part of position bias and causality, which hides the end, too."""
        return [rule_1HTT[..., : each.target, : each.target] for each in self.groups]

    def memory_biases(self, like: torch.Tensor) -> list[torch.Tensor | None]:
        """Of each group: what hides where sources ended."""
        nothing = like.new_zeros((1, 1, 1, 1))
        return [
            None if each.source_mask_BS is None else _hidden(nothing, each) for each in self.groups
        ]

    def reads_source(self, attention: SelfAttention, biases: Sequence[torch.Tensor]) -> Attend:
        """Reads sources: from query, key and value of tokens (N, 3 * I) to (N, I)."""
        sizes = [(each.rows, each.source) for each in self.groups]
        return partial(_read_self, attention, self.source, sizes, biases)

    def reads_target(self, attention: SelfAttention, biases: Sequence[torch.Tensor]) -> Attend:
        """Reads targets so far, likewise."""
        sizes = [(each.rows, each.target) for each in self.groups]
        return partial(_read_self, attention, self.target, sizes, biases)

    def reads_memory(
        self,
        attention: CrossAttention,
        memory_NM: torch.Tensor,
        biases: Sequence[torch.Tensor | None],
    ) -> Attend:
        """Reads sources for targets: from queries (N, I) to (N, I)."""
        of_source = [(each.rows, each.source) for each in self.groups]
        of_target = [(each.rows, each.target) for each in self.groups]

        def read(query_NI: torch.Tensor) -> torch.Tensor:
            queries = _in_groups(query_NI, self.target, of_target)
            products = _in_groups(attention.kv(memory_NM), self.source, of_source)
            found = map(attention.read_products, queries, products, biases)
            return _one_behind_the_other(list(found), self.target)

        return read


def spread(x_NM: torch.Tensor, places: Places, shape: torch.Size) -> torch.Tensor:
    """Tokens in the rows of their padded batch (B, L, M), zeros where there are none."""
    rows_RM = x_NM.new_zeros(shape.numel(), x_NM.shape[1])
    return rows_RM.index_copy(0, places.token_N, x_NM).view(*shape, -1)


def _hidden(bias: torch.Tensor, group: Group) -> torch.Tensor:
    """A bias that is the most negative number where a source has ended."""
    if group.source_mask_BS is None:
        return bias
    return bias.masked_fill(~group.source_mask_BS[:, None, None, :], torch.finfo(bias.dtype).min)


def _read_self(
    attention: SelfAttention,
    places: Places,
    sizes: Sequence[tuple[int, int]],
    biases: Sequence[torch.Tensor],
    qkv_NI: torch.Tensor,
) -> torch.Tensor:
    found = map(attention.read, _in_groups(qkv_NI, places, sizes), biases)
    return _one_behind_the_other(list(found), places)


def _in_groups(
    x_NX: torch.Tensor, places: Places, sizes: Sequence[tuple[int, int]]
) -> list[torch.Tensor]:
    """Tokens in the rows of each group (B, length, X)."""
    x_PX: torch.Tensor = _InGroups.apply(x_NX, places)
    parts = x_PX.split([rows * length for rows, length in sizes])
    return [part.view(*size, -1) for part, size in zip(parts, sizes, strict=True)]


def _one_behind_the_other(groups: Sequence[torch.Tensor], places: Places) -> torch.Tensor:
    """What `_in_groups` took apart, (N, X)."""
    x_PX = torch.cat([group.flatten(0, 1) for group in groups])
    x_NX: torch.Tensor = _OneBehindTheOther.apply(x_PX, places)
    return x_NX


def encoder_blocks(encoder: Any, x_NM: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
    """Hidden states (N, M) behind the blocks of an `Encoder`, of embeddings."""
    longest = max(group.source for group in packed.groups)
    positions = (bias(longest, longest) for bias in own_biases(encoder.blocks))
    own = map(packed.source_biases, positions)
    for block, biases in zip(encoder.blocks, of_each_layer(encoder.blocks, own), strict=True):
        read = packed.reads_source(block.attend_self, biases)
        x_NM = through(block, x_NM, read, checkpointed=encoder.checkpointed)
    return x_NM


def decoder_blocks(
    decoder: Any, x_NM: torch.Tensor, memory_NM: torch.Tensor, packed: PackedBatch
) -> torch.Tensor:
    """Hidden states (N, M) behind the blocks of a `Decoder`, of embeddings."""
    longest = max(group.target for group in packed.groups)
    causal = decoder.causal(longest, longest, x_NM)
    rules = (bias(longest, longest) + causal for bias in own_biases(decoder.blocks))
    own = map(packed.target_biases, rules)
    memory_biases = packed.memory_biases(x_NM)
    for block, biases in zip(decoder.blocks, of_each_layer(decoder.blocks, own), strict=True):
        read_own = packed.reads_target(block.attend_self, biases)
        read_source = packed.reads_memory(block.attend_cross, memory_NM, memory_biases)
        x_NM = through(block, x_NM, read_own, read_source, checkpointed=decoder.checkpointed)
    return x_NM


def packed_states(
    model: Any,
    packed: PackedBatch,
    ids_BS: torch.Tensor,
    ids_BT: torch.Tensor,
    pixels_NCHW: torch.Tensor | None,
    output_image_features: bool = False,
    regions_XV: torch.Tensor | None = None,
) -> tuple[Any, torch.Tensor]:
    """What the encoder gives, and the states (N, M) that the head scores."""
    asked = {
        "output_image_features": output_image_features,
        "packed": packed,
        "region_values": regions_XV,
    }
    encoded = model.encoder(ids_BS, None, pixels_NCHW, **asked)
    return encoded, packed_targets(model, packed, ids_BT, encoded[0])


def packed_targets(
    model: Any, packed: PackedBatch, ids_BT: torch.Tensor, memory_NM: torch.Tensor
) -> torch.Tensor:
    """The states (N, M) that the head scores, of the encoder's."""
    decoder = model.decoder
    x_NM = decoder.dropout(model.encoder.embed_target(ids_BT, 0, packed))
    x_NM = decoder_blocks(decoder, x_NM, memory_NM, packed)
    states_NM: torch.Tensor = decoder.dropout(decoder.norm(x_NM))
    return states_NM


def packed_outputs(
    model: Any,
    packed: PackedBatch,
    ids_BS: torch.Tensor,
    ids_BT: torch.Tensor,
    caption_BT: torch.Tensor | None,
    pixels_NCHW: torch.Tensor | None,
    targets: Targets | None,
    lesson: Any = None,
    regions_XV: torch.Tensor | None = None,
    guess_regions: torch.Tensor | None = None,
    objectives: bool = False,
) -> UnifiedVLOutput:
    """What a `UnifiedVLForConditionalGeneration` gives, computed of tokens alone.

    Features of captions are in rows again, and logits where they are asked for; the encoder's
    states then, too, and where `objectives` may read them.
    """
    encoder = model.encoder
    contrasted = caption_BT is not None
    images = (pixels_NCHW, contrasted)
    encoded, x_NM = packed_states(model, packed, ids_BS, ids_BT, *images, regions_XV)
    memory_NM = encoded[0]
    output = UnifiedVLOutput(
        image_features=encoded.image_features, source_embeddings=encoded.embedded
    )
    output.taught = model.learnt(lesson, x_NM)
    output.target_states = None if targets is None else x_NM
    if targets is not None and not targets.logits:
        labels_N = targets.labels.flatten()[packed.target.token_N]
        _, output.target_loss = model.score(x_NM, replace(targets, labels=labels_N))
    else:
        x_BTM = spread(x_NM, packed.target, ids_BT.shape)
        if targets is None:
            output.logits = model.logits(x_BTM)
        else:
            output.logits, output.target_loss = model.score(x_BTM, targets)
    if objectives or targets is None or targets.logits:
        output.encoder_last_hidden_state = spread(memory_NM, packed.source, ids_BS.shape)
    if caption_BT is not None:
        caption_NM = encoder(caption_BT, packed=packed.of_targets())[0]
        output.caption_features = spread(caption_NM, packed.target, caption_BT.shape)
    if guess_regions is not None:
        model.guess(output, memory_NM, ids_BS.flatten()[packed.source.token_N])
    return output


class _InGroups(torch.autograd.Function):
    """A place without a token holds another one, which nothing reads: it has no gradient."""

    @staticmethod
    def forward(ctx: Any, x_NX: torch.Tensor, places: Places) -> torch.Tensor:
        ctx.places = places
        return x_NX.index_select(0, places.take_P)

    @staticmethod
    def backward(ctx: Any, grad_PX: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad_PX.index_select(0, ctx.places.back_N), None


class _OneBehindTheOther(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_PX: torch.Tensor, places: Places) -> torch.Tensor:
        ctx.places = places
        return x_PX.index_select(0, places.back_N)

    @staticmethod
    def backward(ctx: Any, grad_NX: torch.Tensor) -> tuple[torch.Tensor, None]:
        places = ctx.places
        return grad_NX.index_select(0, places.take_P).index_fill_(0, places.empty_E, 0), None
