"""T5Gemma 2 (arXiv 2512.14856): Gemma 3's text model as encoder and decoder, SigLIP's image branch.

Legend: N images, P places of one image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from unified_vl.model.backbones.family import Family
from unified_vl.model.learning.target_loss import Head


class T5Gemma2(Family):
    """Decoding starts with bos; images are of one size; embeddings are scaled by the root of the
    width, and the id behind an image has an embedding of its own."""

    model_type = "t5gemma2"
    config_class = "T5Gemma2Config"
    model_class = "T5Gemma2ForConditionalGeneration"
    parts = MappingProxyType(
        {
            "encoder": "t5gemma2_encoder",
            "encoder.text_config": "t5gemma2_text",
            "encoder.vision_config": "siglip_vision_model",
            "decoder": "t5gemma2_decoder",
        }
    )
    reads_images = True
    lora_targets = (
        "model.model.encoder.text_model.*.self_attn.*_proj",
        "model.model.decoder.*.self_attn.*_proj",  # which reads the source too
    )

    def text(self, config: Any) -> Any:
        return config.decoder

    def start_id(self, config: Any) -> int:
        return int(config.decoder.bos_token_id)

    def move_ids(self, config: Any, number_of: Mapping[int, int]) -> None:
        encoder, decoder = config.encoder, config.decoder
        decoder.bos_token_id = number_of[int(decoder.bos_token_id)]
        encoder.boi_token_index = number_of[int(encoder.boi_token_index)]
        encoder.eoi_token_index = number_of[int(encoder.eoi_token_index)]
        config.eoi_token_index = encoder.eoi_token_index  # which its embeddings are built with

    def prepare(self, config: Any) -> None:
        # SigLIP's pooling head leads to nothing that the decoder reads
        config.encoder.vision_config.vision_use_head = False

    def unused(self, name: str) -> bool:
        return ".vision_tower." in name and ".head." in name

    def drop(self, config: Any, rate: float) -> None:
        vision = config.encoder.vision_config
        for part in (config, config.encoder.text_config, config.decoder):
            part.dropout_rate = part.attention_dropout = rate
        vision.attention_dropout = rate

    def set_rows(self, config: Any, rows: int) -> None:
        for part in (config, config.encoder.text_config, config.decoder):
            part.vocab_size = rows

    def image_size(self, config: Any) -> tuple[int, int] | None:
        side = int(config.encoder.vision_config.image_size)
        return side, side

    def image_tokens(self, config: Any, image_size: tuple[int, int]) -> int:
        """What the pooling gives: `mm_tokens_per_image` only where it is a square that divides
        the patches."""
        patches = image_size[0] // int(config.encoder.vision_config.patch_size)
        kernel = patches // int(config.encoder.mm_tokens_per_image**0.5)
        return (patches // kernel) ** 2

    def around_image(self, config: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (int(config.encoder.boi_token_index),), (int(config.encoder.eoi_token_index),)

    def encoder(self, model: Any) -> nn.Module:
        return model.model.encoder

    def decoder(self, model: Any) -> nn.Module:
        return model.model.decoder

    def embedding(self, model: Any) -> nn.Module:
        return model.get_input_embeddings()

    def new_cache(self, model: Any) -> EncoderDecoderCache:
        """Layers with a window keep no more than it; the encoder's keys are kept whole."""
        return EncoderDecoderCache(DynamicCache(config=model.config.decoder), DynamicCache())

    def logits(self, model: Any, hidden: torch.Tensor) -> torch.Tensor:
        logits = model.lm_head(hidden)
        cap = model.config.decoder.final_logit_softcapping
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def head(self, model: Any) -> Head | None:
        found = super().head(model)
        return found and replace(found, cap=model.config.decoder.final_logit_softcapping)


T5GEMMA2 = T5Gemma2()
