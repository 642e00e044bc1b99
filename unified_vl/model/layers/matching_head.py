"""Whether an image and a text that the encoder read together belong to each other.

Legend: X texts, T caption length, S = ids of an image's places and the caption, M width (d_model),
2 no and yes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.known_ids import known_ids
from unified_vl.model.layers.linear import Linear


class MatchingHead(nn.Module):
    """Scores (X, 2) of the mean of a text's hidden states (X, M)."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.scores = Linear(config.d_model, (2, config.d_model**-0.5))

    def forward(self, mean_XM: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.scores(mean_XM)
        return found


def captions_behind_images(
    ids_XT: torch.Tensor, read_XT: torch.Tensor, places: int, config: Any
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """What the encoder reads: ids and mask (X, S), and where an image's places begin.

    Args:
        ids_XT: of captions, with their ends.
        read_XT: 1 for their ids and 0 for padding.
        places: of an image.
        config: a `BackboneConfig`: what stands around an image.
    """
    before, behind = config.around_image
    ids = (*before, *[config.image_token_id] * places, *behind)
    front_XS = known_ids(ids, ids_XT.device).expand(len(ids_XT), -1)
    mask_XS = torch.cat([read_XT.new_ones(front_XS.shape), read_XT], dim=1).long()
    return torch.cat([front_XS, ids_XT], dim=1), mask_XS, len(before)


def caption_means(hidden_XTM: torch.Tensor, read_XT: torch.Tensor) -> torch.Tensor:
    """What the head reads (X, M): the mean of a caption's states, that of its end among them."""
    weight_XT1 = read_XT[..., None].to(hidden_XTM.dtype)
    return (hidden_XTM * weight_XT1).sum(1) / weight_XT1.sum(1)
