"""A distance of images in the features of a classifier.

Legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from unified_vl.errors import UserError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels


class PerceptualDistance(nn.Module):
    """The mean squared distance of unit feature vectors, over all levels of a backbone.

    LPIPS (arXiv 1801.03924, equation 1) with the same weight for every channel.

    Args:
        backbone: a model of `timm` with feature maps.
        weights: its weights, safetensors; nothing is downloaded.

    Raises:
        UserError: for a backbone that `timm` does not know, or weights that are not its own.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, backbone: str, weights: Path) -> None:
        super().__init__()
        import timm

        if not weights.is_file():
            raise UserError("there is no such file", file=weights, expected="safetensors weights")
        try:
            self.features = timm.create_model(backbone, features_only=True, pretrained=False)
        except (RuntimeError, AttributeError) as error:
            raise UserError(f"timm has no such features: {error}", field="backbone") from error
        try:
            found = self.features.load_state_dict(load_file(weights), strict=False)
        except (SafetensorError, RuntimeError) as error:
            raise UserError(f"these are not its weights: {error}", file=weights) from error
        if found.missing_keys:
            raise UserError(f"{found.missing_keys[0]!r} is missing", file=weights)
        self.features.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> PerceptualDistance:
        """The classifier stays in evaluation mode."""
        return super().train(False)

    def forward(self, made_B3HW: torch.Tensor, true_B3HW: torch.Tensor) -> torch.Tensor:
        """One number for images in -1 to 1."""
        pairs = zip(self._of(made_B3HW), self._of(true_B3HW), strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).sum()

    def _of(self, pixels_B3HW: torch.Tensor) -> list[torch.Tensor]:
        pixels_B3HW = ((pixels_B3HW + 1) / 2 - self.mean) / self.deviation
        return [F.normalize(level, dim=1, eps=1e-6) for level in self.features(pixels_B3HW)]
