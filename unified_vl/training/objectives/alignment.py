"""Words and regions align: the cheapest transport from a caption's tokens to an image's places.

Image and caption are read together; what it costs to move the tokens' hidden states to the places'
is to be small for a caption's own image and large for one that is drawn (UNITER, arXiv 1909.11740,
section 3.2, and its code; ViLT, arXiv 2102.03334).

Legend: R pairs, T caption length, P places of an image, M width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.specs.objectives.keys import OBJECTIVES, AlignmentKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.pairs import PAIRS, Pairs, pairs_of, refuse_packed_images
from unified_vl.training.objectives.reading.captions import caption_inputs
from unified_vl.training.objectives.transport import transport_distance


class Alignment(Objective):
    """The mean distance of captions and their images, less that of drawn pairs; within [-2, 2].

    Args:
        weight: what it is multiplied by.
        config: of the model.

    Raises:
        UserError: for a model whose images are packed.
    """

    reads_logits = False

    def __init__(self, weight: float, config: BackboneConfig) -> None:
        super().__init__(weight)
        refuse_packed_images("alignment", config)
        self.config = config

    def inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """As of the contrast, whose features negatives are drawn by."""
        return caption_inputs(batch, self.config)

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """The pairs, unless another objective has them."""
        return pairs_of(model, output, batch, process, self.config)

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        assert output.beside is not None
        pairs: Pairs = output.beside[PAIRS]
        seen_RPM, read_RTM = pairs.hidden[:, : pairs.places], pairs.hidden[:, pairs.places :]
        there_RP = seen_RPM.new_ones(seen_RPM.shape[:2], dtype=torch.bool)
        distance_R = transport_distance(read_RTM, pairs.words, seen_RPM, there_RP)
        own, drawn = distance_R[pairs.belongs].sum(), distance_R[~pairs.belongs].sum()
        return process.told_whole(own / pairs.own - drawn / max(pairs.drawn, 1))


ALIGNMENT = ObjectiveKind(
    "alignment",
    AlignmentKeys,
    lambda entry, config: Alignment(entry.alignment, config),
    OBJECTIVES["alignment"].rules,
)
