"""Whether squares of an image are real: the discriminator of patches of VQGAN.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class PatchDiscriminator(nn.Sequential):
    """PatchGAN (arXiv 1611.07004, appendix 6.1.2): a number for each square of an image.

    Args:
        channels: of the first layer; the next two have twice as many each.
    """

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        before = 3
        for level in range(3):
            out = channels * 2**level
            layers += [nn.Conv2d(before, out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            before = out
        super().__init__(*layers, nn.Conv2d(before, 1, 3, padding=1))


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The hinge loss by which a discriminator learns."""
    return (F.relu(1 - real).mean() + F.relu(1 + made).mean()) / 2
