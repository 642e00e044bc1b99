"""Gradients as one tensor, and back.

Legend: W trained weights, one parameter behind the other as in the model.
"""

from __future__ import annotations

import torch
from torch import nn


def flat_gradient(loss: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """The gradient of a loss (W,), float32; those in the parameters stay as they are."""
    trained = _trained(model)
    found = torch.autograd.grad(loss, trained, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(each) if grad is None else grad).detach().float().reshape(-1)
            for each, grad in zip(trained, found, strict=True)
        ]
    )


def loss_of(gradient_W: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """A loss () whose gradient this is."""
    trained = _trained(model)
    pieces = gradient_W.split([each.numel() for each in trained])
    sums = [
        (each.reshape(-1).float() * piece).sum()
        for each, piece in zip(trained, pieces, strict=True)
    ]
    return torch.stack(sums).sum()


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [each for each in model.parameters() if each.requires_grad]
