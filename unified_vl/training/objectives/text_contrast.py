"""Texts and what they are turned into find each other, such as sentences and their translations
(translation ranking: LaBSE, arXiv 2007.01852, section 2.2; the cross-lingual contrast of InfoXLM,
2007.07834, section 3.3), token by token as images and captions do (FILIP, 2111.07783).

So words that mean the same are read alike in all languages that translations join, and what is
learnt of images in some of these is known in the others.

Legend: B rows, S source length, T target length, M width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.objectives.keys import OBJECTIVES, TextContrastKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.contrast import contrastive_loss
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.reading.captions import caption_inputs, words
from unified_vl.training.objectives.reading.source_words import SourceWords

NAME = "text_contrast"


class TextContrast(Objective):
    """The mean of choosing the source for a target and the target for a source, among all ranks'
    rows; each rank has gradients of its own rows only.

    A target is as alike a source as its tokens are, on average, to the word of the source that fits
    each best. The encoder reads it alone; the source it has read as the task does.

    Args:
        weight: what it is multiplied by.
        config: of the model: its ids of padding and of ends.
    """

    reads_logits = False

    def __init__(self, weight: float, config: BackboneConfig) -> None:
        super().__init__(weight)
        self.config = config

    def meet(self, codec: SequenceCodec, mixture: Mixture) -> None:
        self._words = SourceWords(codec.vocabulary)

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """The targets (B, T, M), as the encoder reads them."""
        inputs = caption_inputs(batch, self.config)
        return {NAME: model.encode(inputs["caption_ids"], inputs["caption_mask"])}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        """Tags of sources and ends are no words."""
        assert output.beside is not None and output.encoder_last_hidden_state is not None
        source_BSM = output.encoder_last_hidden_state
        word_BS = self._words.of(batch)
        target_BTM = output.beside[NAME]
        return contrastive_loss(
            process.gather(target_BTM),
            process.gather(words(batch, self.config).to(target_BTM.dtype)),
            process.gather(source_BSM.masked_fill(~word_BS.unsqueeze(-1), 0)),
        )


def _make(entry: Any, config: BackboneConfig) -> Objective:
    return TextContrast(entry.text_contrast, config)


TEXT_CONTRAST = ObjectiveKind(NAME, TextContrastKeys, _make, OBJECTIVES[NAME].rules)
