"""The model: one encoder over text and images, one decoder that writes everything.

Legend: B batch, S source length, T target length, M width (d_model), V vocabulary,
N images in the batch, C channels, H height, W width, X regions, V numbers of a region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from unified_vl.data.packing import Packing
from unified_vl.errors import UserError
from unified_vl.model.backbone import Backbone, ComputeInstead, ComputeWithin, UnifiedVLOutput
from unified_vl.model.class_files import refuse_adapters, write_shim
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.decoder import Decoder
from unified_vl.model.encoder import Encoder
from unified_vl.model.initialization import initialize
from unified_vl.model.layers.linear import Linear
from unified_vl.model.layers.matching_head import MatchingHead
from unified_vl.model.learning.lessons import Lesson, Student
from unified_vl.model.learning.packed_batches import PackedBatch, packed_outputs, packed_targets
from unified_vl.model.learning.target_loss import Head, Targets
from unified_vl.model.regions import RegionHeads
from unified_vl.model.unwrapped import never_wrapped
from unified_vl.model.vision import ImageEncoder


class UnifiedVLForConditionalGeneration(PreTrainedModel, GenerationMixin, Backbone):
    """Source ids and images in, target ids out.

    The text path is T5 v1.1's (gated GELU, RMSNorm, relative positions, no biases),
    so T5 v1.1, mT5 and umT5 weights load (`unified_vl.model.convert`).
    """

    config_class = UnifiedVLConfig
    config: UnifiedVLConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _tied_weights_keys = {"lm_head.weight": "encoder.embedding.weight"}  # noqa: RUF012
    _no_split_modules = ["EncoderBlock", "DecoderBlock"]  # noqa: RUF012
    _supports_sdpa = True
    lora_targets = ("*.attend_self.qkv", "*.attend_cross.q", "*.attend_cross.kv", "*.attend_*.out")

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.region_heads = RegionHeads(config) if config.region_heads else None
        self.lm_head = Linear(config.d_model, (config.vocab_size, config.d_model**-0.5))
        self.matching = MatchingHead(config) if config.matching_head else None
        self.programs: Any = None  # by `decoding.decoders.compiled`
        self.student: Student | None = None  # by `training.distillation`
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        initialize(module, self.config)

    def checkpoint_activations(self) -> None:
        self.encoder.checkpointed = self.decoder.checkpointed = True
        if self.encoder.streams is not None:
            self.encoder.streams.checkpointed = True
        if self.image_branch is not None:
            self.image_branch.checkpoint_activations()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        return self.encoder

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        assert isinstance(value, nn.Embedding)
        self.encoder.embedding = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    @property
    def image_branch(self) -> ImageEncoder | None:
        return self.encoder.vision

    def encode(
        self,
        ids_BS: torch.Tensor,
        mask_BS: torch.Tensor,
        pixels_NCHW: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        image_grids: torch.Tensor | None = None,
        region_values: torch.Tensor | None = None,
    ) -> torch.Tensor:
        known = {
            "image_features": image_features,
            "image_grids": image_grids,
            "region_values": region_values,
        }
        return self.encoder(ids_BS, mask_BS, pixels_NCHW, **known)[0]

    def image_features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        if self.encoder.vision is None:
            raise UserError("the model reads no images", field="model")
        return self.encoder.vision(pixels_NCHW)[1]

    def target_states(
        self,
        embedded: torch.Tensor,
        source_ids: torch.Tensor,
        source_mask: torch.Tensor,
        target_ids: torch.Tensor,
        packing: Packing | None = None,
    ) -> torch.Tensor:
        if packing is not None:
            packed = PackedBatch(packing)
            ids_N = source_ids.flatten()[packed.source.token_N]
            memory_NM = self.encoder.read(embedded, ids_N, packed=packed)
            return packed_targets(self, packed, target_ids, memory_NM)
        memory_BSM = self.encoder.read(embedded, source_ids, source_mask)
        read_BTM = self.encoder.embed_target(target_ids, 0)
        states_BTM: torch.Tensor = self.decoder(read_BTM, memory_BSM, source_mask, None, None)
        return states_BTM

    def logits(self, x_XM: torch.Tensor) -> torch.Tensor:
        """Scores (..., V) of the next id, of the decoder's hidden states (..., M)."""
        if self.config.scale_decoder_output:
            x_XM = x_XM * self.config.d_model**-0.5
        return self.lm_head(x_XM)

    def head(self) -> Head | None:
        if not isinstance(self.lm_head, nn.Linear):  # with an adapter beside it
            return None
        scale = self.config.d_model**-0.5 if self.config.scale_decoder_output else 1.0
        return Head(self.lm_head.weight, scale=scale)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: EncoderDecoderCache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        caption_ids: torch.Tensor | None = None,
        caption_mask: torch.Tensor | None = None,
        targets: Targets | None = None,
        packing: Packing | None = None,
        region_values: torch.Tensor | None = None,
        guess_regions: torch.Tensor | None = None,
        lesson: Lesson | None = None,
        within: Sequence[ComputeWithin] = (),
        instead: ComputeInstead | None = None,
        **_: Any,
    ) -> UnifiedVLOutput:
        """Logits of the next target token.

        Args:
            input_ids: (B, S); an image's places hold `config.image_token_id`.
            attention_mask: (B, S), 1 for tokens and 0 for padding.
            pixel_values: uint8 (N, 3, H, W), the images in the order of their places; strips of
                `unified_vl.codecs.strips` where they are packed.
            decoder_input_ids: (B, T); made from `labels` where absent.
            decoder_attention_mask: (B, past + T).
            encoder_outputs: what the encoder gave before; then `input_ids` is not read.
            past_key_values: the cache of earlier calls.
            labels: (B, T), -100 where there is no target.
            use_cache: return a cache.
            caption_ids: (B, T), texts to be compared with the images of `pixel_values`.
            caption_mask: (B, T), 1 for their tokens and 0 for padding.
            targets: the loss that is asked for, and whether logits are.
            packing: of ids and labels, which then are computed without padding: the same numbers,
                but for what stands where there are no tokens.
            region_values: (X, V), the regions in the order of their places, which hold
                `config.regions_token_id`, as `unified_vl.codecs.region_values` has them.
            guess_regions: given where the regions' features and classes shall be guessed.
            lesson: of a teacher, of the same batch, for the model's `student`.
            within: what objectives compute at the end, with the model and what is returned.
            instead: what is computed, and returned, in the place of all this.

        Returns:
            `logits` (B, T, V), with labels `loss`, the mean over target tokens, with targets
            `target_loss`, with captions `image_features` and `caption_features`, and with a
            lesson `taught`.
        """
        if instead is not None:
            found: UnifiedVLOutput = instead(self)
            return found
        if lesson is not None and self.student is not None:
            self.student.watch.begin()
        if packing is not None:
            assert input_ids is not None and decoder_input_ids is not None
            regions = (region_values, guess_regions)
            more = (caption_ids, pixel_values, targets, lesson, *regions, bool(within))
            packed = packed_outputs(self, PackedBatch(packing), input_ids, decoder_input_ids, *more)
            return self.with_objectives(packed, within)
        contrasted = caption_ids is not None
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids,
                attention_mask,
                pixel_values,
                output_image_features=contrasted,
                region_values=region_values,
            )
        memory_BSM = encoder_outputs[0]
        if decoder_input_ids is None:
            assert labels is not None, "a decoder needs decoder_input_ids or labels"
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if use_cache and past_key_values is None:
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        past = 0 if past_key_values is None else int(past_key_values.get_seq_length())
        x_BTM = self.decoder(
            self.encoder.embed_target(decoder_input_ids, past),
            memory_BSM,
            attention_mask,
            decoder_attention_mask,
            past_key_values,
        )
        logits_BTV, loss, target_loss = self.logits_and_losses(x_BTM, labels, targets)
        taught = self.learnt(lesson, x_BTM)  # before captions, which are no part of the lesson
        output = UnifiedVLOutput(
            loss=loss,
            logits=logits_BTV,
            target_loss=target_loss,
            past_key_values=past_key_values,
            encoder_last_hidden_state=memory_BSM,
            image_features=getattr(encoder_outputs, "image_features", None),
            caption_features=self.encoder(caption_ids, caption_mask)[0] if contrasted else None,
            taught=taught,
            target_states=None if targets is None else x_BTM,
            source_embeddings=getattr(encoder_outputs, "embedded", None) if within else None,
        )
        if guess_regions is not None:
            assert input_ids is not None
            self.guess(output, memory_BSM, input_ids)
        return self.with_objectives(output, within)

    def guess(self, output: UnifiedVLOutput, memory: torch.Tensor, ids: torch.Tensor) -> None:
        """Put what is guessed of regions into an output.

        Args:
            output: of this call.
            memory: hidden states (B, S, M) of the source; those of tokens alone (N, M).
            ids: of the source, likewise. Where none is a region's place the heads read one state
                of zeros: ZeRO needs the same module graph on every rank.
        """
        place = self.config.regions_token_id
        assert self.region_heads is not None and place is not None, "a run that guesses has heads"
        hidden_XM = memory[ids.eq(place)]
        if not len(hidden_XM):
            hidden_XM = memory.new_zeros(1, memory.shape[-1])
        output.region_features, output.region_classes = self.region_heads(hidden_XM)

    def learnt(self, lesson: Lesson | None, last: torch.Tensor) -> dict[str, torch.Tensor] | None:
        """How far the model, since `student.watch.begin`, is from what a teacher showed.

        Args:
            lesson: of the teacher, if any.
            last: the states that the head scores.
        """
        if lesson is None or self.student is None:
            return None
        found: dict[str, torch.Tensor] = self.student(lesson, last, self.head())
        return found

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoModel") -> None:
        """Nothing: a saved model names the package, and no copy of a file of it."""

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """As in `transformers`.

        Raises:
            UserError: for a saved model that is an adapter.
        """
        refuse_adapters(Path(name or ""))
        return super().from_pretrained(name, *args, **kwargs)

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, *args: Any, **kwargs: Any
    ) -> None:
        """As in `transformers`, and the file that says where its classes are."""
        with never_wrapped():
            super().save_pretrained(save_directory, *args, **kwargs)
        write_shim(Path(save_directory))

    def save_weights(
        self, directory: Path, state_dict: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        # One file whatever its size: the name of the weights is part of the format.
        given = None if state_dict is None else dict(state_dict)
        self.save_pretrained(directory, state_dict=given, max_shard_size="100TB")
