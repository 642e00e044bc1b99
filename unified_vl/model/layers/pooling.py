"""Fewer tokens of an image: averages over a smaller grid, or what learned queries read.

Legend: N images, M width of the model, R rows and L columns of the features, P = R * L places,
T tokens that are left.
"""

from __future__ import annotations

import torch
from torch import nn

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import CrossAttention
from unified_vl.model.layers.blocks import FeedForward, rms_norm


class ResamplerLayer(nn.Module):
    """Latents that read the features and each other (arXiv 2204.14198, figure 5)."""

    def __init__(self, config: UnifiedVLConfig) -> None:
        super().__init__()
        self.norm_features = rms_norm(config)
        self.norm_latents = rms_norm(config)
        self.attend = CrossAttention(config, 0)
        self.norm_feed = rms_norm(config)
        self.feed = FeedForward(config)

    def forward(self, latent_NTM: torch.Tensor, feature_NPM: torch.Tensor) -> torch.Tensor:
        own_NTM = self.norm_latents(latent_NTM)
        memory_NKM = torch.cat([self.norm_features(feature_NPM), own_NTM], dim=1)
        read_NTI = self.attend.read(self.attend.q(own_NTM), memory_NKM, None)
        latent_NTM = latent_NTM + self.attend.out(read_NTI)
        return latent_NTM + self.feed(self.norm_feed(latent_NTM))


class Resampler(nn.Module):
    """The Perceiver resampler of Flamingo (arXiv 2204.14198, section 3.1.1), for single images.

    A number of learned latents, the same for each image, attend to its features, which have
    learned positions of their rows and columns. Heads and inner width are those of the model.
    """

    def __init__(self, config: UnifiedVLConfig, rows: int, columns: int) -> None:
        super().__init__()
        pool = config.vision["pool"]
        self.latents = nn.Parameter(torch.empty(pool["tokens"], config.d_model))
        self.row = nn.Parameter(torch.empty(rows, config.d_model))
        self.column = nn.Parameter(torch.empty(columns, config.d_model))
        self.norm = rms_norm(config)
        self.layers = nn.ModuleList(ResamplerLayer(config) for _ in range(pool["layers"]))

    def forward(self, feature_NMRL: torch.Tensor) -> torch.Tensor:
        """Features (N, M, 1, T) of features (N, M, R, L)."""
        place_RLM = self.row[:, None] + self.column
        feature_NPM = (self.norm(feature_NMRL.permute(0, 2, 3, 1)) + place_RLM).flatten(1, 2)
        latent_NTM = self.latents.expand(len(feature_NPM), -1, -1)
        for layer in self.layers:
            latent_NTM = layer(latent_NTM, feature_NPM)
        return latent_NTM.transpose(1, 2).unsqueeze(2)


def build_pool(config: UnifiedVLConfig, rows: int, columns: int) -> nn.Module:
    """What makes features (N, M, r, l) of features (N, M, R, L)."""
    pool = config.vision["pool"]
    if pool is None:
        return nn.Identity()
    if pool["kind"] == "resampler":
        return Resampler(config, rows, columns)
    return nn.AdaptiveAvgPool2d(tuple(pool["grid"]))
