"""An encoder of two streams: text and images apart, then layers in which each reads the other.

As in ViLBERT (arXiv 1908.02265) and LXMERT (arXiv 1908.07490, section 2.2): in a cross-modal layer
a stream attends to the other, then to itself. Both read what the other was before the layer. Rows
without an image pass by these layers: so a text alone is the same whatever it stands beside, and
what retrieval compares first, texts and images apart, never meets them (as in ALBEF and VLMo).

Legend: B rows, S source length, X tokens of one stream, Y of the other, M width (d_model),
I width of all heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from unified_vl.model.activation_checkpointing import through
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import CrossAttention, SelfAttention, add_bias, padding_bias
from unified_vl.model.layers.blocks import (
    Attend,
    EncoderBlock,
    FeedForward,
    bias_of_layer,
    of_each_layer,
    own_biases,
    rms_norm,
)


class CrossBlock(nn.Module):
    """Attention to the other stream, self-attention and feed-forward."""

    def __init__(self, config: UnifiedVLConfig, layer: int) -> None:
        super().__init__()
        self.position_bias = bias_of_layer(config, layer, bidirectional=True)
        self.norm_cross = rms_norm(config)
        self.norm_other = rms_norm(config)
        self.attend_cross = CrossAttention(config, layer)
        self.norm_self = rms_norm(config)
        self.attend_self = SelfAttention(config, layer)
        self.norm_feed = rms_norm(config)
        self.feed = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(
        self,
        x_BXM: torch.Tensor,
        other_BYM: torch.Tensor,
        other_bias_B11Y: torch.Tensor | None,
        attend_self: Attend,
    ) -> torch.Tensor:
        """Hidden states (B, X, M) of this stream.

        Args:
            x_BXM: what they were.
            other_BYM: those of the other stream.
            other_bias_B11Y: hides its padding.
            attend_self: reads the stream itself, as in an `EncoderBlock`.
        """
        query_BXI = self.attend_cross.q(self.norm_cross(x_BXM))
        read_BXI = self.attend_cross.read(query_BXI, self.norm_other(other_BYM), other_bias_B11Y)
        x_BXM = x_BXM + self.dropout(self.attend_cross.out(read_BXI))
        qkv_BXI = self.attend_self.qkv(self.norm_self(x_BXM))
        x_BXM = x_BXM + self.dropout(self.attend_self.out(attend_self(qkv_BXI)))
        return x_BXM + self.dropout(self.feed(self.norm_feed(x_BXM)))


@dataclass(frozen=True)
class Side:
    """The tokens of one stream, in the order of their source and filled up behind.

    Attributes:
        x_BXM: their hidden states.
        place_BX: where they stand in the source; anywhere where there is none.
        there_BX: whether there is one.
    """

    x_BXM: torch.Tensor
    place_BX: torch.Tensor
    there_BX: torch.Tensor

    @classmethod
    def of(cls, x_BSM: torch.Tensor, here_BS: torch.Tensor) -> Side:
        """Those of a source that are here; one place at least, so that all layers compute."""
        count = max(1, int(here_BS.sum(1).max()))
        order_BS = here_BS.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        place_BX = order_BS[:, :count]
        index_BXM = place_BX[..., None].expand(-1, -1, x_BSM.shape[2])
        return cls(x_BSM.gather(1, index_BXM), place_BX, here_BS.gather(1, place_BX))

    def bias(self) -> torch.Tensor | None:
        """Hides padding, (B, 1, 1, X)."""
        return padding_bias(self.there_BX, self.x_BXM.dtype)

    def put(self, target_BSM: torch.Tensor, x_BXM: torch.Tensor) -> torch.Tensor:
        """Hidden states at their places in a source that has zeros there."""
        index_BXM = self.place_BX[..., None].expand_as(x_BXM)
        return target_BSM.scatter_add(1, index_BXM, x_BXM * self.there_BX[..., None])


class TwoStreams(nn.Module):
    """All layers of an encoder: `num_layers`, of which the last `cross_layers` are cross-modal."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        apart = config.num_layers - config.cross_layers
        self.text = nn.ModuleList(EncoderBlock(config, i) for i in range(apart))
        self.image = nn.ModuleList(EncoderBlock(config, i) for i in range(apart))
        both = range(apart, config.num_layers)
        self.cross_text = nn.ModuleList(CrossBlock(config, i) for i in both)
        self.cross_image = nn.ModuleList(CrossBlock(config, i) for i in both)
        self.checkpointed = False

    def forward(
        self, x_BSM: torch.Tensor, image_BS: torch.Tensor, mask_BS: torch.Tensor | None
    ) -> torch.Tensor:
        """Hidden states (B, S, M) of embeddings, each at its place; zeros where padded.

        Args:
            x_BSM: the embeddings.
            image_BS: whether a place is one of an image.
            mask_BS: 1 for ids and 0 for padding; no padding where it is None.
        """
        real_BS = torch.ones_like(image_BS) if mask_BS is None else mask_BS.bool()
        text, image = Side.of(x_BSM, real_BS & ~image_BS), Side.of(x_BSM, real_BS & image_BS)
        text_biases = self._biases(text, of_text=True)
        image_biases = self._biases(image, of_text=False)
        x_BXM, x_BYM = text.x_BXM, image.x_BXM
        for number, (for_text, for_image) in enumerate(zip(self.text, self.image, strict=True)):
            x_BXM = self._through(for_text, x_BXM, text_biases[number])
            x_BYM = self._through(for_image, x_BYM, image_biases[number])
        if self.training or image.there_BX.any():  # in training all layers compute, for ZeRO
            sides = replace(text, x_BXM=x_BXM), replace(image, x_BXM=x_BYM)
            x_BXM, x_BYM = self._cross(*sides, text_biases, image_biases)
        return image.put(text.put(torch.zeros_like(x_BSM), x_BXM), x_BYM)

    def _biases(self, side: Side, *, of_text: bool) -> list[torch.Tensor]:
        """Of each layer of a stream, what its self-attention adds: positions, and its padding."""
        blocks = self._blocks(of_text=of_text)
        length, hidden = side.x_BXM.shape[1], side.bias()
        own = (add_bias(bias(length, length), hidden) for bias in own_biases(blocks))
        return list(of_each_layer(blocks, own))

    def _blocks(self, *, of_text: bool) -> list[Any]:
        if of_text:
            return [*self.text, *self.cross_text]
        return [*self.image, *self.cross_image]

    def _through(self, block: Any, x_BXM: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        read = partial(block.attend_self.read, bias=bias)
        return through(block, x_BXM, read, checkpointed=self.checkpointed)

    def _cross(
        self,
        text: Side,
        image: Side,
        text_biases: Sequence[torch.Tensor],
        image_biases: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both streams behind the cross-modal layers; rows without an image are as before."""
        has_image_B11 = image.there_BX.any(1)[:, None, None]
        x_BXM, x_BYM = text.x_BXM, image.x_BXM
        of_text, of_image = text.bias(), image.bias()
        for number, (for_text, for_image) in enumerate(
            zip(self.cross_text, self.cross_image, strict=True), len(self.text)
        ):
            blocks: tuple[Any, Any] = for_text, for_image
            reads = [
                partial(block.attend_self.read, bias=biases[number])
                for block, biases in zip(blocks, (text_biases, image_biases), strict=True)
            ]
            kept = self.checkpointed
            new_BXM = through(blocks[0], x_BXM, x_BYM, of_image, reads[0], checkpointed=kept)
            x_BYM = through(blocks[1], x_BYM, x_BXM, of_text, reads[1], checkpointed=kept)
            x_BXM = new_BXM
        return torch.where(has_image_B11, x_BXM, text.x_BXM), x_BYM
