"""Images into the encoder: a grid of features at unit scale, row by row.

Legend: N images, C channels, H height, W width, R rows and L columns of the grid,
P = R * L places, M width of the model (d_model).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers import RMSNorm
from unified_vl.model.timm_backbone import TimmBackbone, feature_map
from unified_vl.specs.model import CHANNELS_OF_A_GROUP, STEM_STRIDE


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, normalised first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(channels // CHANNELS_OF_A_GROUP, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(channels // CHANNELS_OF_A_GROUP, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        y_NCHW = self.conv1(F.relu(self.norm1(x_NCHW)))
        return x_NCHW + self.conv2(F.relu(self.norm2(y_NCHW)))


class Stem(nn.Sequential):
    """Small residual convolutions: stride 4, then 2 a stage, up to `patch_size`."""

    def __init__(self, channels: list[int], patch_size: int, width: int) -> None:
        for channel in channels:
            if channel % CHANNELS_OF_A_GROUP:
                raise UserError(
                    f"{channel} channels cannot be normed in groups of {CHANNELS_OF_A_GROUP}",
                    field="model.vision.channels",
                    expected=f"multiples of {CHANNELS_OF_A_GROUP}",
                )
        first, *rest = channels
        layers: list[nn.Module] = [
            nn.Conv2d(3, first, STEM_STRIDE, stride=STEM_STRIDE),
            ResidualBlock(first),
        ]
        stride, last = STEM_STRIDE, first
        for channel in rest:
            layers += [nn.Conv2d(last, channel, 3, stride=2, padding=1), ResidualBlock(channel)]
            stride, last = stride * 2, channel
        remaining = patch_size // stride
        if remaining * stride != patch_size or remaining < 1:
            raise UserError(
                f"channels {channels} give stride {stride}, which does not divide {patch_size}",
                field="model.vision.patch_size",
            )
        layers.append(nn.Conv2d(last, width, remaining, stride=remaining))
        super().__init__(*layers)


def grid_size(vision: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of the features of one image.

    Raises:
        UserError: when the stride does not divide the image's size, or a backbone cannot take it.
    """
    height, width = vision["image_size"]
    if vision["kind"] == "timm":
        found = feature_map(vision["backbone"], vision["feature_level"], (height, width))
        return found.rows, found.columns
    stride = int(vision["patch_size"])
    if height % stride or width % stride:
        raise UserError(
            f"{height}x{width} pixels are not a multiple of the stride {stride}",
            field="model.vision.image_size",
        )
    return height // stride, width // stride


class ImageEncoder(nn.Module):
    """uint8 pixels to normalised features with learned row and column positions."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        vision = config.vision
        width = config.d_model
        self.rows, self.columns = grid_size(vision)
        self.features: nn.Module
        if vision["kind"] == "stem":
            self.features = Stem(vision["channels"], vision["patch_size"], width)
        elif vision["kind"] == "timm":
            name, level = vision["backbone"], vision["feature_level"]
            self.features = TimmBackbone(name, level, config.image_size, width)
        else:
            size = vision["patch_size"]
            self.features = nn.Conv2d(3, width, size, stride=size)
        self.norm = RMSNorm(width, config.layer_norm_epsilon)
        self.row = nn.Parameter(torch.empty(self.rows, width))
        self.column = nn.Parameter(torch.empty(self.columns, width))

    def forward(self, pixels_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, P, M), with and without positions, from uint8 pixels (N, 3, H, W)."""
        x_NCHW = pixels_NCHW.to(self.row.dtype) / 127.5 - 1.0
        feature_NMRL = self.features(x_NCHW.contiguous(memory_format=torch.channels_last))
        feature_NPM = self.norm(feature_NMRL.permute(0, 2, 3, 1)).flatten(1, 2)
        return self.place(feature_NPM), feature_NPM

    def place(self, feature_NPM: torch.Tensor) -> torch.Tensor:
        """Features with their positions added, (N, P, M)."""
        return feature_NPM + (self.row[:, None] + self.column).flatten(0, 1)
