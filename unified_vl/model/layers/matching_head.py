"""Whether an image and a text that the encoder read together belong to each other.

Legend: X texts, M width (d_model), 2 no and yes.
"""

from __future__ import annotations

import torch
from torch import nn

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.linear import Linear


class MatchingHead(nn.Module):
    """Scores (X, 2) of the mean of a text's hidden states (X, M)."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.scores = Linear(config.d_model, (2, config.d_model**-0.5))

    def forward(self, mean_XM: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.scores(mean_XM)
        return found
