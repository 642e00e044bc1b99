"""Texts stand in for images, so that what is known of words in texts alone is said of pictures, too
(CapDec, arXiv 2211.00575; DeCap, 2303.03032: captioning that is learnt from text).

The contrast makes an image's places and the encoder's reading of its caption alike. So a text that
the encoder has read alone can take the places of an image in the source of a task that describes
images; what is to be written then is the target of the text's own task, such as its translation.

Legend: B rows, W length of a text, S source length, P places of an image, T target length, M width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput

from unified_vl.codecs.segments import Image
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import LENGTH_MULTIPLE, Batch, pad
from unified_vl.data.templates import filled, make_plan, merged
from unified_vl.kinds.hooks.segments import LoadedImage
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.model.learning.target_loss import Targets
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.objectives.keys import OBJECTIVES, TextAsImageKeys, TextAsImageSpec
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.pairs import refuse_packed_images
from unified_vl.training.objectives.reading.source_words import SourceWords

NAME = "text_as_image"


class TextAsImage(Objective):
    """The cross-entropy of a row's target behind the source of another task, in which the row's
    text stands in for the image; summed over target tokens.

    Args:
        spec: the keys of the task.
        config: of the model.

    Raises:
        UserError: for a model whose images are packed.
    """

    reads_logits = False
    per = "token"

    def __init__(self, spec: TextAsImageSpec, config: BackboneConfig) -> None:
        super().__init__(spec.weight)
        refuse_packed_images(NAME, config)
        self.spec, self.config = spec, config

    def meet(self, codec: SequenceCodec, mixture: Mixture) -> None:
        self._words = SourceWords(codec.vocabulary)
        shown = next(each for each in mixture.specs if each.task == self.spec.task)
        (name,) = shown.fields_of(shown.source)
        pixels_HWC = np.zeros((*codec.image_size, 3), np.uint8)  # only its places are asked for
        height, width = codec.image_size
        blank = Image(LoadedImage(pixels_HWC, width, height))

        @cache
        def source(language: str) -> list[int]:
            plan = make_plan(shown, language, mixture.tags)
            return codec.encode_source(merged(filled(plan.source, {name: [blank]}))).ids

        self._source, self._places = source, codec.image_tokens

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """The loss, in the call of the model that has its weights."""
        assert batch.labels_BT is not None, "rows of training have targets"
        text_BW, read_BW = self._texts(batch)
        sources = [self._source(each.language) for each in batch.examples]
        ids_BS, mask_BS = (
            torch.from_numpy(each).to(text_BW.device)
            for each in pad(sources, self.config.pad_token_id, LENGTH_MULTIPLE)
        )
        read_BWM = model.encode(text_BW, read_BW)
        order_P = in_columns(model, self._places)
        shown_BPM = spread(read_BWM, read_BW.sum(1) - 1, order_P)  # its end is no part of a text
        mask_BS = mask_BS.long()
        memory_BSM = model.encode(ids_BS, mask_BS, image_features=shown_BPM)
        found = model.forward(
            attention_mask=mask_BS,
            encoder_outputs=BaseModelOutput(memory_BSM),
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(batch.labels_BT),
            targets=Targets(batch.labels_BT, logits=False),
            use_cache=False,
        )
        return {NAME: found.target_loss}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.beside is not None
        found: torch.Tensor = output.beside[NAME]
        return found

    def _texts(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's words with an end behind them, and where they are: both (B, W)."""
        ids_BS = batch.input_ids_BS
        word_BS = self._words.of(batch)
        words_B1 = word_BS.sum(1, keepdim=True)
        at_W = torch.arange(int(words_B1.max()) + 1, device=ids_BS.device)
        first_BS = word_BS.long().argsort(dim=1, descending=True, stable=True)
        text_BW = F.pad(ids_BS.gather(1, first_BS), (0, 1))[:, : len(at_W)]
        text_BW = text_BW.masked_fill(at_W == words_B1, self.config.eos_token_id)
        text_BW = text_BW.masked_fill(at_W > words_B1, self.config.pad_token_id)
        return text_BW, (at_W <= words_B1).long()


def in_columns(model: Backbone, places: int) -> torch.Tensor:
    """What is how many places behind the first, column by column: (P,). Where places lie in no
    grid of rows and columns, their own order.

    Args:
        model: whose image branch knows the grid.
        places: of an image.
    """
    branch = model.image_branch
    if branch is None or branch.rows * branch.columns != places:
        return torch.arange(places)
    return torch.arange(places).view(branch.columns, branch.rows).T.flatten()


def spread(read_BWM: torch.Tensor, words_B: torch.Tensor, order_P: torch.Tensor) -> torch.Tensor:
    """A text's tokens over the places of an image, each as often as the others within one:
    (B, P, M).

    Args:
        read_BWM: of its tokens.
        words_B: how many each text has, one at least.
        order_P: the rank of each place.
    """
    rank_P = order_P.to(words_B.device)
    token_BP = rank_P * words_B.clamp(min=1).unsqueeze(1) // len(rank_P)
    return read_BWM.gather(1, token_BP.unsqueeze(-1).expand(-1, -1, read_BWM.shape[-1]))


def _make(entry: Any, config: BackboneConfig) -> Objective:
    return TextAsImage(entry.text_as_image, config)


TEXT_AS_IMAGE = ObjectiveKind(NAME, TextAsImageKeys, _make, OBJECTIVES[NAME].rules)
