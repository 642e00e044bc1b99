"""Images into the encoder: a grid of features at unit scale, row by row, or what pooling leaves.

Legend: N images, C channels, H height, W width, R rows and L columns of the grid,
P = R * L places, M width of the model (d_model), X places of all images together.
"""

from __future__ import annotations

import torch
from torch import nn

from unified_vl.kinds.hooks.fits import Pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.image_encoders.packed_images import grids, is_place, positions, squares
from unified_vl.model.image_encoders.registry import ENCODERS, grid_size
from unified_vl.model.layers.pooling import build_pool


class ImageEncoder(nn.Module):
    """uint8 pixels to normalised features with learned row and column positions."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        vision = config.vision
        width = config.d_model
        self.rows, self.columns = grid_size(vision)
        fit = config.image_fit
        self.side = fit.side if isinstance(fit, Pack) else None  # of the squares of packed images
        encoder = ENCODERS[vision["kind"]]
        self.features = encoder.build(vision, width)
        self.pool = build_pool(config, *encoder.grid(vision))
        self.norm = nn.RMSNorm(width, config.layer_norm_epsilon)
        self.row = nn.Parameter(torch.empty(self.rows, width))
        self.column = nn.Parameter(torch.empty(self.columns, width))

    def forward(
        self,
        pixels_NCHW: torch.Tensor | None,
        feature_NPM: torch.Tensor | None = None,
        grid_N2: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, P, M), with and without positions, from uint8 pixels (N, 3, H, W), or from
        those without, and then as `place` does.

        Of packed images, which come as strips, those with positions are (X, M), and the others
        zero behind each image's places.
        """
        if feature_NPM is not None:
            return self.place(feature_NPM, grid_N2), feature_NPM
        assert pixels_NCHW is not None, "there are pixels, or features of them"
        if self.side is not None:
            return self._packed(pixels_NCHW, self.side)
        x_NCHW = pixels_NCHW.to(self.row.dtype) / 127.5 - 1.0
        feature_NMRL = self.features(x_NCHW.contiguous(memory_format=torch.channels_last))
        feature_NMRL = self.pool(feature_NMRL)
        feature_NPM = self.norm(feature_NMRL.permute(0, 2, 3, 1)).flatten(1, 2)
        return self.place(feature_NPM), feature_NPM

    def _packed(self, strip_NCSX: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        grid_N2 = grids(strip_NCSX, side)
        x_NCHW = squares(strip_NCSX, side).to(self.row.dtype) / 127.5 - 1.0
        feature_NPM = self.norm(self.features(x_NCHW).flatten(2).transpose(1, 2))
        feature_NPM = feature_NPM * is_place(grid_N2, feature_NPM.shape[1])[..., None]
        return self._place_packed(feature_NPM, grid_N2), feature_NPM

    def _place_packed(self, feature_NPM: torch.Tensor, grid_N2: torch.Tensor) -> torch.Tensor:
        places = feature_NPM.shape[1]
        placed_NPM = feature_NPM + positions(self.row, self.column, grid_N2, places)
        return placed_NPM[is_place(grid_N2, places)]

    def checkpoint_activations(self) -> None:
        """Let the features compute again in the backward pass, where their kind can. A square or a
        stem is one convolution or a few, and keeps next to nothing."""
        checkpoint = getattr(self.features, "checkpoint_activations", None)
        if checkpoint is not None:
            checkpoint()

    def place(self, feature_NPM: torch.Tensor, grid_N2: torch.Tensor | None = None) -> torch.Tensor:
        """Features with their positions added, (N, P, M); of packed images (X, M).

        Args:
            feature_NPM: of the images.
            grid_N2: rows and columns of each, where they are packed.
        """
        if grid_N2 is not None:
            return self._place_packed(feature_NPM, grid_N2)
        return feature_NPM + (self.row[:, None] + self.column).flatten(0, 1)
