"""The encoder: ids and images, embedded and read together.

Legend: B batch, S source length, T target length, H heads, M width (d_model), N images in the
batch, P places of one image, F frames of a video, 2 rows and columns, X regions in the batch,
R names of regions, V numbers of a region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from unified_vl.codecs.region_values import ORDER
from unified_vl.model.activation_checkpointing import through
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import add_bias, padding_bias
from unified_vl.model.layers.blocks import EncoderBlock, of_each_layer, own_biases, rms_norm
from unified_vl.model.layers.known_ids import known_ids
from unified_vl.model.layers.lookup import Embedding
from unified_vl.model.layers.positions import CodePositions
from unified_vl.model.layers.two_streams import TwoStreams
from unified_vl.model.learning.packed_batches import PackedBatch, encoder_blocks
from unified_vl.model.regions import RegionEncoder
from unified_vl.model.vision import ImageEncoder

EncoderBlocks = Callable[[torch.Tensor, list[torch.Tensor], torch.Tensor | None], torch.Tensor]
"""What `Encoder.through_blocks` does."""


@dataclass
class EncoderOutput(BaseModelOutput):
    """`last_hidden_state` (B, S, M), `image_features` (N, P, M) where asked for, and `embedded`
    (B, S, M), what the blocks read, where gradients are computed."""

    image_features: torch.Tensor | None = None
    embedded: torch.Tensor | None = None


class Encoder(nn.Module):
    """Embeds ids and images and lets them attend to each other."""

    main_input_name = "input_ids"

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.image_token_id = config.image_token_id
        self.frame_token_ids = tuple(config.frame_token_ids or ())
        self.embedding: nn.Embedding = Embedding(config.vocab_size, config.d_model)
        self.code_positions = None if config.code_grid is None else CodePositions(config)
        self.vision = None if config.image_token_id is None else ImageEncoder(config)
        self.pixels_size = config.pixels_size
        self.regions_token_id = config.regions_token_id
        self.region_token_ids = tuple(config.region_token_ids or ())
        self.regions = None if config.region_sizes is None else RegionEncoder(config)
        self.streams = TwoStreams(config) if config.two_streams else None
        joint = 0 if config.two_streams else config.num_layers
        self.blocks = nn.ModuleList(EncoderBlock(config, i) for i in range(joint))
        self.norm = rms_norm(config)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.checkpointed = False  # by `checkpoint_activations`
        self.compiled_blocks: EncoderBlocks | None = None  # by `decoding.decoders.compiled`

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        output_image_features: bool = False,
        image_features: torch.Tensor | None = None,
        image_grids: torch.Tensor | None = None,
        packed: PackedBatch | None = None,
        region_values: torch.Tensor | None = None,
        **_: Any,
    ) -> EncoderOutput:
        """Hidden states (B, S, M); of the tokens alone, (tokens, M), where they are packed."""
        places = None if self.code_positions is None else self.code_positions.places(input_ids)
        if packed is not None:
            input_ids = input_ids.flatten()[packed.source.token_N]
            places = None if places is None else places.flatten()[packed.source.token_N]
        embedded, feature_NPM = self._embed(
            input_ids, places, pixel_values, image_features, image_grids
        )
        if self.regions is not None:
            embedded = self._with_regions(self.regions, embedded, input_ids, region_values)
        return EncoderOutput(
            last_hidden_state=self.read(embedded, input_ids, attention_mask, packed),
            image_features=feature_NPM if output_image_features else None,
            embedded=embedded if torch.is_grad_enabled() else None,
        )

    def read(
        self,
        embedded: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        packed: PackedBatch | None = None,
    ) -> torch.Tensor:
        """Hidden states (B, S, M) of embeddings; of the tokens alone where they are packed."""
        x = self.dropout(embedded)
        if packed is not None:
            hidden = self.norm(encoder_blocks(self, x, packed))
        elif self.streams is not None:
            hidden = self.norm(self.streams(x, self._of_images(input_ids), attention_mask))
        else:
            mask_bias = padding_bias(attention_mask, x.dtype)
            length = input_ids.shape[1]
            positions_1HSS = [bias(length, length) for bias in own_biases(self.blocks)]
            hidden = (self.compiled_blocks or self.through_blocks)(x, positions_1HSS, mask_bias)
        states: torch.Tensor = self.dropout(hidden)
        return states

    def through_blocks(
        self,
        x_BSM: torch.Tensor,
        positions_1HSS: list[torch.Tensor],
        mask_bias_B11S: torch.Tensor | None,
    ) -> torch.Tensor:
        """Hidden states (B, S, M) of embeddings.

        Args:
            x_BSM: the embeddings.
            positions_1HSS: the position biases of the layers that have one.
            mask_bias_B11S: what is added to hide padding.
        """
        own = (add_bias(position_1HSS, mask_bias_B11S) for position_1HSS in positions_1HSS)
        blocks: list[Any] = list(self.blocks)
        for block, bias in zip(blocks, of_each_layer(blocks, own), strict=True):
            read = partial(block.attend_self.read, bias=bias)
            x_BSM = through(block, x_BSM, read, checkpointed=self.checkpointed)
        return self.norm(x_BSM)

    def _embed(
        self,
        ids_BS: torch.Tensor,
        places_BS: torch.Tensor | None,
        pixels_NCHW: torch.Tensor | None,
        feature_NPM: torch.Tensor | None = None,
        grid_N2: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Token embeddings, with an image's features in its places, and those features; of ids in
        rows or one behind the other.

        Where the features were computed before, with their grids if the images are packed, the
        pixels are not read.
        A training batch without images sends one blank image through the branch with
        weight zero: ZeRO needs the same module graph on every rank and step.
        """
        x_BSM = self.embedding(ids_BS)
        if self.code_positions is not None and places_BS is not None:
            x_BSM = x_BSM + self.code_positions(ids_BS, places_BS)
        if self.vision is None or self.image_token_id is None:
            return x_BSM, None
        if pixels_NCHW is None and feature_NPM is None:
            if not self.training:
                return x_BSM, None
            blank = torch.zeros(1, 3, *self.pixels_size, dtype=torch.uint8, device=ids_BS.device)
            return x_BSM + 0.0 * self.vision(blank)[0].mean(), None
        if feature_NPM is None:
            placed_NPM, feature_NPM = self.vision(pixels_NCHW)
        else:
            placed_NPM, _ = self.vision(None, feature_NPM, grid_N2)
        image_BS1 = ids_BS.eq(self.image_token_id).unsqueeze(-1)
        if not self.frame_token_ids:
            return x_BSM.masked_scatter(image_BS1, placed_NPM.to(x_BSM.dtype)), feature_NPM
        frame_ids_F = known_ids(self.frame_token_ids, ids_BS.device)
        frame_BS1 = torch.isin(ids_BS, frame_ids_F).unsqueeze(-1)
        seen_BSM = x_BSM.masked_scatter(image_BS1 | frame_BS1, placed_NPM.to(x_BSM.dtype))
        # a frame's id is its number: the embedding of it is that of the time, and stays
        return seen_BSM + x_BSM * frame_BS1, feature_NPM

    def _with_regions(
        self,
        regions: RegionEncoder,
        x_BSM: torch.Tensor,
        ids_BS: torch.Tensor,
        value_XV: torch.Tensor | None,
    ) -> torch.Tensor:
        """Embeddings with those of regions, and of their names, in their places; of ids in rows
        or one behind the other. A training batch without any sends one through with weight zero,
        as with images."""
        if value_XV is None:
            if not self.training:
                return x_BSM
            blank_1V = x_BSM.new_zeros(1, regions.values)
            return x_BSM + 0.0 * regions(blank_1V).mean()
        assert self.regions_token_id is not None
        region_ids_R = known_ids(self.region_token_ids, ids_BS.device)
        name_X = region_ids_R[value_XV[:, ORDER].long()]
        region_XM = regions(value_XV) + self.embedding(name_X)
        place_BS1 = ids_BS.eq(self.regions_token_id).unsqueeze(-1)
        return x_BSM.masked_scatter(place_BS1, region_XM.to(x_BSM.dtype))

    def _of_images(self, ids_BS: torch.Tensor) -> torch.Tensor:
        """Whether a place holds features of an image or of a region, (B, S)."""
        held = (self.image_token_id, self.regions_token_id, *self.frame_token_ids)
        seen = tuple(number for number in held if number is not None)
        return torch.isin(ids_BS, known_ids(seen, ids_BS.device))

    def embed_target(
        self, ids_BT: torch.Tensor, past: int, packed: PackedBatch | None = None
    ) -> torch.Tensor:
        """Embeddings (B, T, M) of what the decoder reads from position `past` on; of the tokens
        alone, (tokens, M), where they are packed.

        An image's codes come before all else in a target, so the place that a code is followed
        by is known from its position (the first is that of the start id). It is that place
        which is told, and not the code's own: what is to be written looks for its like there.
        """
        place_T = torch.arange(past, past + ids_BT.shape[1], device=ids_BT.device)
        if packed is not None:
            place_T = place_T.expand_as(ids_BT).flatten()[packed.target.token_N]
            ids_BT = ids_BT.flatten()[packed.target.token_N]
        x_BTM = self.embedding(ids_BT)
        if self.code_positions is None:
            return x_BTM
        return x_BTM + self.code_positions(ids_BT, place_T)
