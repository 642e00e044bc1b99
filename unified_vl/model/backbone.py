"""What training, decoding and saving need of a model, whatever it is made of.

This project's own model is one; those of `unified_vl.model.backbones` are `transformers`'.

Legend: B batch, S source length, T target length, M width, V vocabulary, N images in the batch,
C channels, H height, W width, P places of one image, X regions, F numbers of a feature, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_outputs import Seq2SeqLMOutput

from unified_vl.codecs.model_codec import ImageSettings
from unified_vl.data.batching import IGNORED
from unified_vl.data.packing import Packing
from unified_vl.model.learning.target_loss import (
    FEWEST_WORDS,
    Head,
    Targets,
    chunked_loss_sum,
    token_loss_sum,
)
from unified_vl.model.vision import ImageEncoder
from unified_vl.specs.task import TaskTags


@dataclass
class UnifiedVLOutput(Seq2SeqLMOutput):
    """What losses are made of, where asked for.

    Attributes:
        target_loss: the loss of the target tokens, summed, as `Targets` has it.
        image_features: (N, P, M), of each place of each image, before the encoder's blocks.
        region_features: (X, F), what is guessed of each region's feature.
        region_classes: (X, K), and the logits of its class.
        caption_features: (B, T, M), of each token of the captions, read without the image.
        taught: how far it is from what a teacher showed, by name (`learning.lessons`).
        beside: what objectives computed with the model's layers, by names that they choose.
        momentum: what the momentum copy of the weights gave them before, likewise.
        target_states: what the head scores of the targets, where a loss of these is asked for:
            (B, T, M), of a batch without padding those of its tokens (tokens, M).
        source_embeddings: what the encoder's blocks read, (B, S, M) or likewise (tokens, M), where
            objectives compute with the model's layers.
    """

    target_loss: torch.Tensor | None = None
    image_features: torch.Tensor | None = None
    caption_features: torch.Tensor | None = None
    region_features: torch.Tensor | None = None
    region_classes: torch.Tensor | None = None
    taught: dict[str, torch.Tensor] | None = None
    beside: dict[str, Any] | None = None
    momentum: Mapping[str, torch.Tensor] | None = None
    target_states: torch.Tensor | None = None
    source_embeddings: torch.Tensor | None = None


ComputeWithin = Callable[["Backbone", UnifiedVLOutput], Mapping[str, Any]]
"""Called with the model at the end of `forward` and with its output; what it gives is `beside`."""

ComputeInstead = Callable[["Backbone"], Any]
"""Called with the model in the place of all that `forward` does."""


class BackboneConfig(ImageSettings, Protocol):
    """What others than the model itself read in its configuration."""

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        ...

    @property
    def d_model(self) -> int:
        """Width of the model (M)."""
        ...

    @property
    def image_token_id(self) -> int | None:
        """Holds an image's places in a source; None of a model that reads no images."""
        ...

    @property
    def pad_token_id(self) -> int:
        """Fills rows up behind their ends."""
        ...

    @property
    def eos_token_id(self) -> int:
        """Ends a source and a target."""
        ...

    @property
    def decoder_start_token_id(self) -> int:
        """What a decoder reads first."""
        ...

    @property
    def task_tags(self) -> TaskTags:
        """What told tasks apart in training (a mixture's `tags`)."""
        ...


class Backbone(nn.Module):
    """An encoder-decoder: source ids and images in, logits of target ids out.

    `forward` takes by name what that of `unified_vl.model.unified` does.
    A training batch without images sends a blank one through the image branch with weight zero:
    ZeRO needs the same module graph on every rank and step.
    """

    programs: Any  # compiled ones, by `decoding.decoders.compiled`
    config: Any  # a `BackboneConfig`, and what else the model itself reads in it
    matching: Any  # a `MatchingHead`, where the configuration has one

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def image_branch(self) -> ImageEncoder | None:
        """The image branch, where it is one of this project's."""
        raise NotImplementedError

    def get_input_embeddings(self) -> nn.Module:
        """What looks up the rows of ids."""
        raise NotImplementedError

    def get_output_embeddings(self) -> nn.Module:
        """What scores ids."""
        raise NotImplementedError

    def tables(self) -> dict[str, torch.Tensor]:
        """What has a row for each id: the embedding, and a head of its own."""
        start: Any = self.get_input_embeddings()
        end: Any = self.get_output_embeddings()
        head = end.out_proj.weight if hasattr(end, "out_proj") else end.weight
        tables: dict[str, torch.Tensor] = {"embedding": start.weight}
        return tables if head is start.weight else {**tables, "head": head}

    def encode(
        self,
        ids_BS: torch.Tensor,
        mask_BS: torch.Tensor,
        pixels_NCHW: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden states (B, S, M) of sources.

        Args:
            ids_BS: an image's places hold `config.image_token_id`.
            mask_BS: 1 for ids, 0 for padding.
            pixels_NCHW: uint8, the images in the order of their places.
            image_features: (N, P, M) of `image_features`, in place of pixels. A model whose images
                are packed takes their grids (N, 2), too, as `image_grids`.
        """
        raise NotImplementedError

    def image_features(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """What the image branch sees at each place of uint8 images, (N, P, M).

        Raises:
            UserError: when the model reads no images.
        """
        raise NotImplementedError

    def target_states(
        self,
        embedded: torch.Tensor,
        source_ids: torch.Tensor,
        source_mask: torch.Tensor,
        target_ids: torch.Tensor,
        packing: Packing | None = None,
    ) -> torch.Tensor:
        """States that the head scores, (B, T, M), of a source whose embeddings are given; those of
        tokens alone (tokens, M) of a batch without padding.

        Args:
            embedded: as `source_embeddings` of an output.
            source_ids: (B, S), where images are.
            source_mask: (B, S), 1 for ids and 0 for padding.
            target_ids: (B, T), what the decoder reads.
            packing: of a batch that is computed without padding.
        """
        raise NotImplementedError

    def logits(self, x_XM: torch.Tensor) -> torch.Tensor:
        """Scores (..., V) of the next id, of the decoder's hidden states (..., M)."""
        raise NotImplementedError

    def head(self) -> Head | None:
        """The weights that `logits` multiplies with; None where it does more than `Head` says."""
        return None

    def score(
        self, hidden: torch.Tensor, targets: Targets
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Logits (..., V) of hidden states (..., M) where they are asked for, and the loss.

        Args:
            hidden: of the decoder, in rows or one behind the other.
            targets: whether logits are asked for, and the loss that is.
        """
        labels, smoothing, z_loss = targets.labels, targets.label_smoothing, targets.z_loss
        padded = hidden.dim() > 2
        if targets.logits or (padded and self.config.vocab_size < FEWEST_WORDS):
            logits = self.logits(hidden)
            loss = token_loss_sum(logits, labels, smoothing, z_loss)
            return logits if targets.logits else None, loss
        kept, head = labels != IGNORED, self.head()
        if head is None:
            return None, token_loss_sum(self.logits(hidden[kept]), labels[kept], smoothing, z_loss)
        return None, chunked_loss_sum(hidden[kept], labels[kept], head, targets)

    def logits_and_losses(
        self, hidden_BTM: torch.Tensor, labels_BT: torch.Tensor | None, targets: Targets | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """What `forward` gives of a decoder's hidden states.

        Args:
            hidden_BTM: of the decoder.
            labels_BT: -100 where there is no target.
            targets: in the place of labels, and as `score` has them.

        Returns:
            Logits (B, T, V), unless `targets` want none; the mean loss of labels; the summed loss
            of `targets`.
        """
        if targets is not None:
            assert labels_BT is None, "`targets` are in the place of labels"
            logits_BTV, target_loss = self.score(hidden_BTM, targets)
            return logits_BTV, None, target_loss
        logits_BTV = self.logits(hidden_BTM)
        if labels_BT is None:
            return logits_BTV, None, None
        loss = F.cross_entropy(logits_BTV.flatten(0, 1).float(), labels_BT.flatten())
        return logits_BTV, loss, None

    def with_objectives(
        self, output: UnifiedVLOutput, within: Sequence[ComputeWithin]
    ) -> UnifiedVLOutput:
        """The output of `forward`, once objectives have computed what they want beside it."""
        beside: dict[str, Any] = {}
        output.beside = beside
        for compute in within:
            beside.update(compute(self, output))
        return output

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """Labels (B, T) moved right behind the start id; -100 becomes pad."""
        shifted_BT = labels.new_full(labels.shape, self.config.decoder_start_token_id)
        shifted_BT[:, 1:] = labels[:, :-1]
        return shifted_BT.masked_fill_(shifted_BT == -100, self.config.pad_token_id)

    def checkpoint_activations(self) -> None:
        """Let blocks compute again in the backward pass what is within them, from now on."""
        raise NotImplementedError

    def save_weights(
        self, directory: Path, state_dict: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Write `config.json`, `generation_config.json` and `model.safetensors`.

        Args:
            directory: an empty folder.
            state_dict: the weights, where the model's own are in pieces (ZeRO-3).
        """
        raise NotImplementedError
