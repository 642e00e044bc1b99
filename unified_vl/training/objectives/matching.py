"""Whether an image and a caption belong together, of captions with hard negatives.

Image and caption are read together by the encoder, and a head reads the mean of the caption's
tokens (ALBEF, arXiv 2107.07651, section 3.2, reads its first token).

Legend: R pairs, T caption length, M width, 2 no and yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.model.layers.matching_head import caption_means
from unified_vl.specs.objectives.keys import OBJECTIVES, MatchingKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.pairs import PAIRS, Pairs, pairs_of, refuse_packed_images
from unified_vl.training.objectives.reading.captions import caption_inputs


class Matching(Objective):
    """Cross-entropy over a caption's own image, an image drawn for it, and a caption drawn for each
    image.

    Args:
        weight: what it is multiplied by.
        config: of the model.

    Raises:
        UserError: for a model whose images are packed, or without a head of matching.
    """

    reads_logits = False

    def __init__(self, weight: float, config: BackboneConfig) -> None:
        super().__init__(weight)
        refuse_packed_images("matching", config)
        if not getattr(config, "matching_head", False):
            raise UserError(
                "`matching` of a task needs a head, which a backbone of `transformers` has not",
                field="model.from",
                expected="a model of this project's architecture",
            )
        self.config = config

    def inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """As of the contrast, whose features negatives are drawn by."""
        return caption_inputs(batch, self.config)

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """`matching_R2`, beside the pairs."""
        found = pairs_of(model, output, batch, process, self.config)
        pairs: Pairs = {**(output.beside or {}), **found}[PAIRS]
        hidden_RTM = pairs.hidden[:, pairs.places :]
        return {**found, "matching_R2": model.matching(caption_means(hidden_RTM, pairs.read))}

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.beside is not None
        pairs: Pairs = output.beside[PAIRS]
        score_R2 = output.beside["matching_R2"].float()
        total = F.cross_entropy(score_R2, pairs.belongs.long(), reduction="sum")
        return process.told_whole(total / (pairs.own + pairs.drawn))


MATCHING = ObjectiveKind(
    "matching",
    MatchingKeys,
    lambda entry, config: Matching(entry.matching, config),
    OBJECTIVES["matching"].rules,
)
