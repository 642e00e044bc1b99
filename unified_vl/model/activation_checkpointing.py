"""Blocks that keep their inputs alone for the backward pass (arXiv 1604.06174)."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


def through(block: Any, *inputs: Any, checkpointed: bool) -> torch.Tensor:
    """A block's output, with what is in between computed again in the backward pass.

    Dropout draws the same masks then, for the state of the generator is kept. Where no gradient is
    asked for it is the block alone.

    Args:
        block: gets `inputs`; tensors within its other arguments may carry gradients, too.
        checkpointed: whether to do so.
    """
    if not (checkpointed and torch.is_grad_enabled()):
        found: torch.Tensor = block(*inputs)
        return found
    again: torch.Tensor = checkpoint(block, *inputs, use_reentrant=False)
    return again
