"""A model that `transformers` computes, as a `Backbone`.

Legend: B batch, S source length, T target length, M width, N images in the batch, C channels,
H height, W width, P places of one image, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.cache_utils import EncoderDecoderCache
from transformers.initialization import no_init_weights

from unified_vl.data.packing import Packing
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.model.backbone import Backbone, ComputeInstead, ComputeWithin, UnifiedVLOutput
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.initialization import initialize
from unified_vl.model.learning.target_loss import Head, Targets
from unified_vl.model.vision import ImageEncoder

THEIRS = "model."  # before the names of their weights in a state dict
OWN_BRANCH = "vision."  # before those of an image branch of this project


class TransformersBackbone(Backbone):
    """`encode`, the decoder and its head called apart, so that everything around them is ours.

    Args:
        config: theirs, and what is ours beside it.
        model: with its weights; random ones are drawn unless given.
    """

    config: TransformersConfig
    programs: None = None  # nothing is compiled

    def __init__(self, config: TransformersConfig, model: PreTrainedModel | None = None) -> None:
        super().__init__()
        self.config = config
        self.model = config.build() if model is None else model
        self.vision: ImageEncoder | None = None
        if config.vision is not None:
            self.vision = ImageEncoder(config.own_vision)
            self.vision.apply(lambda module: initialize(module, config.own_vision))

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """Patterns of the linear layers that get an adapter unless a run names others."""
        return self.config.family.lora_targets

    @property
    def image_branch(self) -> ImageEncoder | None:
        return self.vision

    def encode(
        self,
        ids_BS: torch.Tensor,
        mask_BS: torch.Tensor,
        pixels_NCHW: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self._encoded(ids_BS, mask_BS, pixels_NCHW, image_features)[0]

    def _encoded(
        self,
        ids_BS: torch.Tensor,
        mask_BS: torch.Tensor,
        pixels_NCHW: torch.Tensor | None,
        feature_NPM: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Hidden states (B, S, M), the features of the images, and the embeddings (B, S, M)."""
        family = self.config.family
        x_BSM = family.embedding(self.model)(ids_BS)
        placed_NPM = None
        if feature_NPM is not None:
            placed_NPM = feature_NPM
            if self.vision is not None:
                placed_NPM, _ = self.vision(None, feature_NPM)
        elif pixels_NCHW is not None:
            placed_NPM, feature_NPM = self._see(pixels_NCHW)
        if placed_NPM is not None:
            assert self.config.image_token_id is not None, "the vocabulary has no image"
            places_BS = ids_BS == self.config.image_token_id
            self._check(places_BS, len(placed_NPM), placed_NPM.shape[1])
            x_BSM = x_BSM.masked_scatter(places_BS[..., None], placed_NPM.to(x_BSM.dtype))
        elif self.training and self.config.reads_images:
            blank = ids_BS.new_zeros((1, 3, *self.config.image_size), dtype=torch.uint8)
            x_BSM = x_BSM + 0.0 * self._see(blank)[0].mean()
        return self._read(x_BSM, mask_BS), feature_NPM, x_BSM

    def _read(self, x_BSM: torch.Tensor, mask_BS: torch.Tensor) -> torch.Tensor:
        encoder = self.config.family.encoder(self.model)
        hidden_BSM: torch.Tensor = encoder(
            inputs_embeds=x_BSM, attention_mask=mask_BS
        ).last_hidden_state
        return hidden_BSM

    def target_states(
        self,
        embedded: torch.Tensor,
        source_ids: torch.Tensor,
        source_mask: torch.Tensor,
        target_ids: torch.Tensor,
        packing: Packing | None = None,
    ) -> torch.Tensor:
        return self.decode(target_ids, self._read(embedded, source_mask), source_mask)

    @staticmethod
    def _check(places_BS: torch.Tensor, images: int, tokens: int) -> None:
        """`transformers` counts over the whole batch, so that rows could swap their images."""
        count_B = places_BS.sum(1).tolist()
        for row, count in enumerate(count_B):
            if count % tokens:
                raise UserError(
                    f"row {row} of a batch has {count} places of images",
                    expected=f"a multiple of {tokens}, the places of one image",
                )
        if sum(count_B) != images * tokens:
            raise UserError(
                f"a batch has {images} images and places for {sum(count_B) // tokens}",
                expected=f"{tokens} places for each image",
            )

    def image_features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        return self._see(pixels_NCHW)[1]

    def _see(self, pixels_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, P, M), with and without positions of their own."""
        if self.vision is not None:
            seen: tuple[torch.Tensor, torch.Tensor] = self.vision(pixels_NCHW)
            return seen
        if not self.config.reads_images:
            raise UserError("the model reads no images", field="model")
        mean, std = (
            torch.tensor(value, device=pixels_NCHW.device)[:, None, None]
            for value in (self.config.mean, self.config.std)
        )
        scaled_NCHW = ((pixels_NCHW.float() / 255 - mean) / std).to(self.dtype)
        feature_NPM = self.config.family.image_features(self.model, scaled_NCHW)
        return feature_NPM, feature_NPM

    def decode(
        self,
        ids_BT: torch.Tensor,
        memory_BSM: torch.Tensor,
        mask_BS: torch.Tensor,
        cache: EncoderDecoderCache | None = None,
    ) -> torch.Tensor:
        """Hidden states (B, T, M) behind target ids; `logits` turns them into scores.

        Args:
            ids_BT: behind those that the cache has read.
            memory_BSM: of `encode`.
            mask_BS: 1 for what of it may be read, 0 for padding.
            cache: of `new_cache`, or of earlier calls.
        """
        hidden_BTM: torch.Tensor = self.config.family.decoder(self.model)(
            input_ids=ids_BT,
            encoder_hidden_states=memory_BSM,
            encoder_attention_mask=mask_BS,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return hidden_BTM

    def new_cache(self) -> EncoderDecoderCache:
        """For `decode`, of a decoder that has read nothing."""
        return self.config.family.new_cache(self.model)

    def checkpoint_activations(self) -> None:
        self.model.activation_checkpointing_enable({"use_reentrant": False})
        if self.vision is not None:
            self.vision.checkpoint_activations()

    def logits(self, x_XM: torch.Tensor) -> torch.Tensor:
        return self.config.family.logits(self.model, x_XM)

    def head(self) -> Head | None:
        return self.config.family.head(self.model)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        labels: torch.Tensor | None = None,
        caption_ids: torch.Tensor | None = None,
        caption_mask: torch.Tensor | None = None,
        targets: Targets | None = None,
        within: Sequence[ComputeWithin] = (),
        instead: ComputeInstead | None = None,
        **_: Any,
    ) -> UnifiedVLOutput:
        """As `UnifiedVLForConditionalGeneration.forward`; the mask is never left out."""
        if instead is not None:
            found: UnifiedVLOutput = instead(self)
            return found
        assert attention_mask is not None, "`transformers` infers no mask from padding"
        feature_NPM, x_BSM = None, None
        if encoder_outputs is None:
            assert input_ids is not None
            memory_BSM, feature_NPM, x_BSM = self._encoded(input_ids, attention_mask, pixel_values)
        else:
            memory_BSM = encoder_outputs[0]
        if decoder_input_ids is None:
            assert labels is not None, "a decoder needs decoder_input_ids or labels"
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        hidden_BTM = self.decode(decoder_input_ids, memory_BSM, attention_mask)
        logits_BTV, loss, target_loss = self.logits_and_losses(hidden_BTM, labels, targets)
        caption_BTM = None
        if caption_ids is not None:
            assert caption_mask is not None
            caption_BTM = self.encode(caption_ids, caption_mask)
        output = UnifiedVLOutput(
            loss=loss,
            logits=logits_BTV,
            target_loss=target_loss,
            encoder_last_hidden_state=memory_BSM,
            image_features=feature_NPM if caption_ids is not None else None,
            caption_features=caption_BTM,
            target_states=None if targets is None else hidden_BTM,
            source_embeddings=x_BSM if within else None,
        )
        return self.with_objectives(output, within)

    def get_input_embeddings(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        head: nn.Module = self.model.get_output_embeddings()
        return head

    def resize(self, rows: int) -> None:
        """Give the embedding, and a head of its own, so many rows; the first ones stay."""
        self.model.resize_token_embeddings(rows, mean_resizing=False)
        for config in (self.config.theirs, self.model.config):
            self.config.family.set_rows(config, rows)

    def biases(self) -> torch.Tensor | None:
        """What BART adds to the score of each id, (V,); None of a family that adds nothing."""
        bias_1V: torch.Tensor | None = getattr(self.model, "final_logits_bias", None)
        return None if bias_1V is None else bias_1V[0].clone()

    def set_biases(self, bias_V: torch.Tensor | None, taken: Mapping[int, int]) -> None:
        """Give each id the bias that it had, and new ones none.

        Args:
            bias_V: of `biases`, before `resize`.
            taken: the id that each had then.
        """
        if bias_V is not None:
            own_1V: Any = self.model.final_logits_bias
            own_1V.zero_()
            own_1V[0, list(taken)] = bias_V[list(taken.values())]

    def save_weights(
        self, directory: Path, state_dict: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """In the layout of `transformers`, which loads the folder too."""
        state = self.state_dict() if state_dict is None else state_dict
        kept = {name for name, _ in self.named_parameters()}  # a tied weight under its first name
        kept |= {name for name, _ in self.named_buffers()} & set(state)
        tensors = {their_name(name): state[name].detach().cpu().contiguous() for name in kept}
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        self.config.save_pretrained(directory)
        generation = self.model.generation_config
        if generation is not None:
            write_atomically(
                directory / "generation_config.json", generation.to_json_string(use_diff=True)
            )


def empty_backbone(config: TransformersConfig) -> TransformersBackbone:
    """A model whose weights are still to come: nothing is drawn for them."""
    with no_init_weights():
        backbone = TransformersBackbone(config)
    backbone.model.tie_weights()  # which drawing them would have done
    return backbone


def their_name(name: str) -> str:
    """What a weight, or a layer, of a `TransformersBackbone` is called in a saved model."""
    return name.removeprefix(THEIRS)


def our_name(name: str) -> str:
    """The other way round."""
    return name if name.startswith(OWN_BRANCH) else THEIRS + name
