"""The training loss: one mean over all target tokens of a step, on all ranks."""

from __future__ import annotations

import torch


def step_loss(
    loss_sum: torch.Tensor, global_tokens: int, world: int, weight: float
) -> torch.Tensor:
    """What to call backward on, so that the gradient is that of the global token mean.

    DeepSpeed averages gradients over the ranks, that is, divides their sum by
    `world`; the factor `world` here cancels it. Never a mean of per-rank means: ranks
    hold different numbers of tokens.

    Args:
        loss_sum: of this rank.
        global_tokens: target tokens of all ranks.
        world: number of ranks.
        weight: of the task.
    """
    return loss_sum * (weight * world / global_tokens)
