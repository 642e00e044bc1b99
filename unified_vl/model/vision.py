"""Images into the encoder: a grid of features at unit scale, row by row.

Legend: N images, C channels, H height, W width, R rows and L columns of the grid,
P = R * L places, M width of the trunk (d_model).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from unified_vl.errors import UserError, nearest
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers import RMSNorm

CHANNELS_OF_A_GROUP = 16


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
        layers: list[nn.Module] = [nn.Conv2d(3, first, 4, stride=4), ResidualBlock(first)]
        stride, last = 4, first
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


class TimmBackbone(nn.Module):
    """One feature map of any `timm` backbone, projected to the trunk's width."""

    def __init__(self, name: str, level: int, width: int) -> None:
        super().__init__()
        self.backbone = _timm_features(name, level)
        self.project = nn.Conv2d(self.backbone.feature_info.channels()[-1], width, 1)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_pre_hook(_cast_statistics)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        (feature_NCRL,) = self.backbone(x_NCHW)
        if feature_NCRL.shape[1] != self.project.in_channels:  # some transformers: channels last
            feature_NCRL = rearrange(feature_NCRL, "n r l c -> n c r l")
        return self.project(feature_NCRL)


def _cast_statistics(norm: nn.BatchNorm2d, _: object) -> None:
    """Give a batch norm's statistics the type of its weights.

    An engine in bf16 casts the weights alone, and torch refuses the two types together.
    """
    dtype = norm.weight.dtype
    for statistic in ("running_mean", "running_var"):
        if getattr(norm, statistic) is not None:
            setattr(norm, statistic, getattr(norm, statistic).to(dtype))


def _timm_features(name: str, level: int) -> Any:
    import timm

    known = timm.list_models()
    if name.split(".")[0] not in known:
        raise UserError(
            f"timm has no backbone {name!r}",
            field="model.vision.backbone",
            nearest=nearest(name, known),
        )
    return timm.create_model(name, pretrained=False, features_only=True, out_indices=(level,))


@lru_cache(maxsize=32)
def _timm_reduction(name: str, level: int) -> int:
    return int(_timm_features(name, level).feature_info.reduction()[-1])


def grid_size(vision: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of the features of one image.

    Raises:
        UserError: when the stride does not divide the image's size.
    """
    stride = int(vision["patch_size"])
    if vision["kind"] == "timm":
        stride = _timm_reduction(vision["backbone"], vision["feature_level"])
    height, width = vision["image_size"]
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
            self.features = TimmBackbone(vision["backbone"], vision["feature_level"], width)
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
