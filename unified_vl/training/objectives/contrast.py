"""Images and their captions find each other, token by token (FILIP, arXiv 2111.07783).

A caption and an image are as alike as the caption's tokens are, on average, to the place
of the image that fits each best. So places learn to stand for what is seen in them and
texts of any language for the same, before they ever meet in one source ("align before
fuse", arXiv 2107.07651).

A video is what its frames show: the places of all of them.

Legend: B captions and as many images or videos, T tokens, P places of one, M width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from unified_vl.data.batching import Batch
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE
from unified_vl.model.backbone import BackboneConfig, UnifiedVLOutput
from unified_vl.specs.mixture import MixtureTask
from unified_vl.specs.objectives.keys import OBJECTIVES, ContrastKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.momentum_contrast import MomentumContrast
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.reading.captions import caption_inputs, words
from unified_vl.training.objectives.reading.seen import seen_in_rows


def similarity(
    caption_BTM: torch.Tensor, mask_BT: torch.Tensor, image_BPM: torch.Tensor
) -> torch.Tensor:
    """Of each caption (rows) and each image (columns), in [-1, 1]: (B, B), float32.

    Args:
        caption_BTM: features of the captions' tokens.
        mask_BT: 1 for tokens that count, at least one a caption, and 0 for the others.
        image_BPM: features of the images' places; zero where a packed image has none.
    """
    token_BTM = F.normalize(caption_BTM.float(), dim=-1)
    place_BPM = F.normalize(image_BPM.float(), dim=-1)
    none_BP = ~image_BPM.any(dim=-1)
    best_BTB = torch.stack(
        [
            (token_BTM @ place_PM.T).masked_fill(none_P, -1.0).amax(dim=-1)
            for place_PM, none_P in zip(place_BPM, none_BP, strict=True)
        ],
        dim=-1,
    )
    weight_BT1 = mask_BT.unsqueeze(-1).float()
    return (best_BTB * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1)


def contrastive_loss(
    caption_BTM: torch.Tensor,
    mask_BT: torch.Tensor,
    image_BPM: torch.Tensor,
    temperature: float = TEMPERATURE,
) -> torch.Tensor:
    """Mean of choosing the image for a caption and the caption for an image.

    Caption i belongs to image i; the others of the batch are what it is told from.
    """
    score_BB = similarity(caption_BTM, mask_BT, image_BPM) / temperature
    own_B = torch.arange(len(score_BB), device=score_BB.device)
    return (F.cross_entropy(score_BB, own_B) + F.cross_entropy(score_BB.T, own_B)) / 2


class Contrast(Objective):
    """The contrastive loss of all ranks' rows; each rank has gradients of its own rows only.

    Args:
        weight: what it is multiplied by.
        config: of the model: its ids of padding and of ends.
        temperature: what similarities are divided by.
    """

    reads_logits = False

    def __init__(
        self, weight: float, config: BackboneConfig, temperature: float = TEMPERATURE
    ) -> None:
        super().__init__(weight)
        self.config = config
        self.temperature = temperature

    def inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """The targets as captions, which the encoder reads without the images."""
        return caption_inputs(batch, self.config)

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        """A target's end token is no part of a caption."""
        assert output.caption_features is not None
        assert output.image_features is not None
        words_BT = words(batch, self.config).to(output.caption_features.dtype)
        return contrastive_loss(
            process.gather(output.caption_features),
            process.gather(words_BT),
            process.gather(seen_in_rows(output.image_features, batch)),
            self.temperature,
        )


def _make(entry: MixtureTask, config: BackboneConfig) -> Objective:
    if not entry.contrast_queue and not entry.contrast_within:
        return Contrast(entry.contrast, config, entry.contrast_temperature)
    return MomentumContrast(
        entry.contrast,
        config,
        entry.contrast_temperature,
        entry.contrast_queue,
        entry.contrast_within,
        entry.momentum_distillation,
        entry.momentum_distillation_ramp,
    )


CONTRAST = ObjectiveKind("contrast", ContrastKeys, _make, OBJECTIVES["contrast"].rules)
