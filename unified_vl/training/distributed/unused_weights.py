"""The weights that an update does not use, such as a branch that its task has no need of.

At every ZeRO stage momentum and weight decay move them, and no gradient does. DeepSpeed's
optimisers are given as arguments, because only `engine.py` and `process.py` import DeepSpeed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def fill_in_gradients(model: nn.Module) -> None:
    """Zeros for the weights without a gradient, at stage 0: an optimiser would pass them over,
    but moves them where ZeRO has shards and it sees no single weight."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def forget_gradients(optimizer: Any) -> None:
    """ZeRO 3 keeps the gradients of an update until others take their places, and applies
    those of a weight that the next update does not use a second time."""
    optimizer.grad_partitions_flat_buffer.zero_()
    for flat in optimizer.fp32_partitioned_groups_flat:  # with the optimiser on the CPU
        if flat.grad is not None:
            flat.grad.zero_()
