"""What one family of `transformers`' encoder-decoders needs to be known of it.

Legend: N images, C channels, H height, W width, P places of one image, M width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from unified_vl.model.learning.target_loss import Head


class Family(ABC):
    """One family: where its modules and settings lie.

    Attributes:
        model_type: what its `config.json` says.
        config_class, model_class: names in `transformers`.
        parts: the only architectures that its parts may have, by their key in `config.json`.
        reads_images: whether it has an image branch of its own.
        mean, std: of the pixels of each channel, where no `preprocessor_config.json` says them.
        usual_size: (height, width) in pixels, where nothing says it.
        lora_targets: patterns of the text model's linear layers of attention, by the names of a
            `TransformersBackbone`. (`peft` has none for most families, and its "all-linear" takes
            the image branch too.)
    """

    model_type: str
    config_class: str
    model_class: str
    parts: Mapping[str, str] = MappingProxyType({})
    reads_images = False
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    usual_size: tuple[int, int] = (0, 0)
    lora_targets: tuple[str, ...]

    @abstractmethod
    def text(self, config: Any) -> Any:
        """The part of a configuration that says vocabulary, width and special ids."""

    def start_id(self, config: Any) -> int:
        """What a decoder reads first."""
        text = self.text(config)
        start = getattr(text, "decoder_start_token_id", None)
        return int(text.eos_token_id if start is None else start)

    def known_ids(self, config: Any) -> tuple[int, ...]:
        """Ids that its modules know by their number, beside padding and the end."""
        before, behind = self.around_image(config)
        return tuple(dict.fromkeys((self.start_id(config), *before, *behind)))

    def move_ids(self, config: Any, number_of: Mapping[int, int]) -> None:
        """Let the modules know these ids by other numbers.

        Args:
            config: of a model that is still to be built.
            number_of: the new number of each of `known_ids`.
        """
        start = self.start_id(config)
        if number_of[start] != start:
            self.text(config).decoder_start_token_id = number_of[start]

    def most_positions(self, config: Any) -> int | None:
        """The longest sequence that it has positions for; None where any length goes."""
        return None

    def prepare(self, config: Any) -> None:
        """Change what must not be as a checkpoint has it."""
        return None

    def unused(self, name: str) -> bool:
        """Whether a checkpoint may hold a weight that the model does not have."""
        return False

    def drop(self, config: Any, rate: float) -> None:
        """Set dropout, everywhere."""
        text = self.text(config)
        for key in ("dropout", "attention_dropout", "activation_dropout", "dropout_rate"):
            if hasattr(text, key):
                setattr(text, key, rate)

    def set_rows(self, config: Any, rows: int) -> None:
        """Say how many rows the embedding has, wherever a configuration says it."""
        config.vocab_size = rows

    def image_size(self, config: Any) -> tuple[int, int] | None:
        """(height, width) in pixels of all images, where the model takes no other."""
        return None

    def image_tokens(self, config: Any, image_size: tuple[int, int]) -> int:
        """Places (P) of one image."""
        return 0

    def around_image(self, config: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that stand before and behind an image's places."""
        return (), ()

    def image_features(self, model: Any, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """Features (N, P, M) of normalised pixels."""
        features_NPM: torch.Tensor = model.get_image_features(pixels_NCHW).pooler_output
        return features_NPM

    @abstractmethod
    def encoder(self, model: Any) -> nn.Module:
        """Takes `inputs_embeds` and `attention_mask`."""

    @abstractmethod
    def decoder(self, model: Any) -> nn.Module:
        """Takes `input_ids`, `encoder_hidden_states`, `encoder_attention_mask` and a cache."""

    @abstractmethod
    def embedding(self, model: Any) -> nn.Module:
        """Ids to what the encoder reads, scaled as it wants them."""

    def new_cache(self, model: Any) -> EncoderDecoderCache:
        """Holds what a decoder has read: nothing."""
        return EncoderDecoderCache(DynamicCache(), DynamicCache())

    def logits(self, model: Any, hidden: torch.Tensor) -> torch.Tensor:
        """Scores of the next id, of the decoder's hidden states."""
        return model.get_output_embeddings()(hidden)

    def head(self, model: Any) -> Head | None:
        """The weights of `logits`; None where it does more than `Head` says, as an adapter does."""
        end = model.get_output_embeddings()
        end = getattr(end, "out_proj", end)
        return Head(end.weight) if type(end) is nn.Linear and end.bias is None else None
