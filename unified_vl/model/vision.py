"""Images into the encoder: a grid of features at unit scale, row by row, or what pooling leaves.

Legend: N images, C channels, H height, W width, R rows and L columns of the grid,
P = R * L places, M width of the model (d_model).
"""

from __future__ import annotations

import torch
from torch import nn

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.encoders.registry import ENCODERS, grid_size
from unified_vl.model.layers import RMSNorm
from unified_vl.model.pooling import build_pool


class ImageEncoder(nn.Module):
    """uint8 pixels to normalised features with learned row and column positions."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        vision = config.vision
        width = config.d_model
        self.rows, self.columns = grid_size(vision)
        encoder = ENCODERS[vision["kind"]]
        self.features = encoder.build(vision, width)
        self.pool = build_pool(config, *encoder.grid(vision))
        self.norm = RMSNorm(width, config.layer_norm_epsilon)
        self.row = nn.Parameter(torch.empty(self.rows, width))
        self.column = nn.Parameter(torch.empty(self.columns, width))

    def forward(self, pixels_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, P, M), with and without positions, from uint8 pixels (N, 3, H, W)."""
        x_NCHW = pixels_NCHW.to(self.row.dtype) / 127.5 - 1.0
        feature_NMRL = self.features(x_NCHW.contiguous(memory_format=torch.channels_last))
        feature_NMRL = self.pool(feature_NMRL)
        feature_NPM = self.norm(feature_NMRL.permute(0, 2, 3, 1)).flatten(1, 2)
        return self.place(feature_NPM), feature_NPM

    def place(self, feature_NPM: torch.Tensor) -> torch.Tensor:
        """Features with their positions added, (N, P, M)."""
        return feature_NPM + (self.row[:, None] + self.column).flatten(0, 1)
