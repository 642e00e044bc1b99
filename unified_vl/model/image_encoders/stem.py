"""Small residual convolutions, for small images and little data.

Legend: N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.errors import UserError
from unified_vl.model.image_encoders.image_encoder import EncoderKind, Vision
from unified_vl.model.image_encoders.patches import grid
from unified_vl.specs.runs.vision import CHANNELS_OF_A_GROUP, STEM_STRIDE, StemKeys


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


def build(vision: Vision, width: int) -> nn.Module:
    return Stem(vision["channels"], vision["patch_size"], width)


STEM = EncoderKind("stem", StemKeys, grid, build)
