"""The training loss: one mean over all target tokens of a step, on all ranks.

Legend: B batch, T target length, V vocabulary, R target tokens of this rank's batch.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED


def token_loss_sum(
    logits_BTV: torch.Tensor, labels_BT: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Cross-entropy summed over the target tokens, in float32.

    Positions without a target are left out before the softmax, not after it.

    Args:
        logits_BTV: of any floating type.
        labels_BT: int64, -100 where there is no target.
        label_smoothing: mass that is spread evenly over the vocabulary
            (arXiv 1512.00567, section 7).
    """
    kept_BT = labels_BT != IGNORED
    logits_RV = logits_BTV[kept_BT].float()
    return F.cross_entropy(
        logits_RV, labels_BT[kept_BT], reduction="sum", label_smoothing=label_smoothing
    )


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
