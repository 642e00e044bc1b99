"""The convolutional encoder and decoder of an image tokenizer, as in VQGAN.

The layout is that of Esser et al. (arXiv 2012.09841, section 3 and table 7) as `diffusers`'
`VQModel` has it, so that its weights can be loaded; `patch` puts pixels into channels first,
which a small image on a CPU needs.

Legend: B batch, C channels, H height, W width, N = H * W.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.specs.image_tokenizer import ConvolutionSpec


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions behind norms, around them the identity or a 1 x 1."""

    def __init__(self, channels: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = _norm(channels, groups)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = _norm(out, groups)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        y_BCHW = self.conv1(F.silu(self.norm1(x_BCHW)))
        y_BCHW = self.conv2(F.silu(self.norm2(y_BCHW)))
        return self.shortcut(x_BCHW) + y_BCHW


class PlaceAttention(nn.Module):
    """One head of attention among all places of a feature map."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, groups)
        self.q, self.k, self.v, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        y_BNC = self.norm(x_BCHW).flatten(2).transpose(1, 2)
        heads = (part(y_BNC)[:, None] for part in (self.q, self.k, self.v))
        y_BNC = self.out(F.scaled_dot_product_attention(*heads)[:, 0])
        return x_BCHW + y_BNC.transpose(1, 2).view_as(x_BCHW)


def _level(channels: int, out: int, blocks: int, groups: int, attends: bool) -> nn.ModuleList:
    """`blocks` residual blocks, each with attention behind it where the level has it."""
    layers = nn.ModuleList()
    for number in range(blocks):
        layers.append(ResidualBlock(out if number else channels, out, groups))
        if attends:
            layers.append(PlaceAttention(out, groups))
    return layers


def _middle(channels: int, groups: int, attends: bool) -> nn.Sequential:
    layers: list[nn.Module] = [ResidualBlock(channels, channels, groups)]
    if attends:
        layers.append(PlaceAttention(channels, groups))
    return nn.Sequential(*layers, ResidualBlock(channels, channels, groups))


class Encoder(nn.Module):
    """An image to a feature map that is smaller by patch * 2 ** (levels - 1).

    Args:
        spec: its levels.
    """

    def __init__(self, spec: ConvolutionSpec) -> None:
        super().__init__()
        self.patch = spec.patch
        channels, groups = spec.channels, spec.groups
        self.conv_in = nn.Conv2d(3 * spec.patch**2, channels[0], 3, padding=1)
        before = (channels[0], *channels)
        self.levels = nn.ModuleList(
            _level(before[n], each, spec.blocks, groups, n in spec.attention)
            for n, each in enumerate(channels)
        )
        self.down = nn.ModuleList(nn.Conv2d(each, each, 3, stride=2) for each in channels[:-1])
        self.middle = _middle(channels[-1], groups, spec.attend_in_the_middle)
        self.norm_out = _norm(channels[-1], groups)
        self.conv_out = nn.Conv2d(channels[-1], spec.latent, 3, padding=1)

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        x_BCHW = self.conv_in(F.pixel_unshuffle(pixels_BCHW, self.patch))
        for number, layers in enumerate(self.levels):
            for layer in layers:  # type: ignore[attr-defined]  # a ModuleList
                x_BCHW = layer(x_BCHW)
            if number < len(self.down):
                x_BCHW = self.down[number](F.pad(x_BCHW, (0, 1, 0, 1)))
        return self.conv_out(F.silu(self.norm_out(self.middle(x_BCHW))))


class LocalBlock(nn.Module):
    """A residual block of linear layers: no place sees another."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.inner, self.outer = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, x_BHWC: torch.Tensor) -> torch.Tensor:
        y_BHWC = self.inner(F.silu(self.norm1(x_BHWC)))
        return x_BHWC + self.outer(F.silu(self.norm2(y_BHWC)))


class LocalEncoder(nn.Module):
    """A feature map of which each place comes from its own square of pixels alone.

    Args:
        spec: of a tokenizer with a `local_encoder`.
    """

    def __init__(self, spec: ConvolutionSpec) -> None:
        super().__init__()
        assert spec.local_encoder is not None
        channels = spec.local_encoder.channels
        self.side = spec.downsampling
        self.enter = nn.Linear(3 * self.side**2, channels)
        self.blocks = nn.Sequential(
            *(LocalBlock(channels) for _ in range(spec.local_encoder.blocks))
        )
        self.norm_out = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, spec.latent)

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        x_BHWC = self.enter(F.pixel_unshuffle(pixels_BCHW, self.side).movedim(1, -1))
        x_BHWC = self.leave(F.silu(self.norm_out(self.blocks(x_BHWC))))
        return x_BHWC.movedim(-1, 1)


class Decoder(nn.Module):
    """A feature map back to an image.

    A level has one residual block more than the encoder's.

    Args:
        spec: its levels.
    """

    def __init__(self, spec: ConvolutionSpec) -> None:
        super().__init__()
        self.patch = spec.patch
        channels, groups = spec.channels, spec.groups
        coarse_first = list(reversed(channels))
        self.conv_in = nn.Conv2d(spec.latent, coarse_first[0], 3, padding=1)
        self.middle = _middle(coarse_first[0], groups, spec.attend_in_the_middle)
        before = (coarse_first[0], *coarse_first)
        last = len(channels) - 1
        self.levels = nn.ModuleList(
            _level(before[n], each, spec.blocks + 1, groups, last - n in spec.attention)
            for n, each in enumerate(coarse_first)
        )
        self.up = nn.ModuleList(nn.Conv2d(each, each, 3, padding=1) for each in coarse_first[:-1])
        self.norm_out = _norm(channels[0], groups)
        self.conv_out = nn.Conv2d(channels[0], 3 * spec.patch**2, 3, padding=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x_BCHW = self.middle(self.conv_in(x_BCHW))
        for number, layers in enumerate(self.levels):
            for layer in layers:  # type: ignore[attr-defined]  # a ModuleList
                x_BCHW = layer(x_BCHW)
            if number < len(self.up):
                x_BCHW = self.up[number](F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x_BCHW))), self.patch)
