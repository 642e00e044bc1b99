"""How unlike the probabilities of two readings are, without logits of a large vocabulary ever being
there whole.

As `target_loss` does, gradients are computed in the forward pass, while a chunk's logits are there.

Legend: R target tokens, C tokens of a chunk, M width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.model.learning.target_loss import CHUNK, HALF_RANGE, Head, KeptGradients
from unified_vl.model.learning.teacher_logits import chunk_logits


def symmetric_divergence_sum(
    one_RM: torch.Tensor, other_RM: torch.Tensor, head: Head
) -> torch.Tensor:
    """KL(one || other) + KL(other || one) summed over target tokens.

    Gradients go to both and to the head's weight; only one backward pass is possible.

    Args:
        one_RM, other_RM: states that the head scores.
        head: of the model.
    """
    both = torch.cat([one_RM, other_RM])
    loss: torch.Tensor = _SymmetricDivergence.apply(
        both * head.scale if head.scale != 1.0 else both,
        head.weight,
        head,
        torch.is_grad_enabled(),
    )
    return loss


def symmetric_divergence_of_logits(one_RV: torch.Tensor, other_RV: torch.Tensor) -> torch.Tensor:
    """The same of logits that are there."""
    one, other = (each.float().log_softmax(-1) for each in (one_RV, other_RV))
    both = [
        F.kl_div(a, b, reduction="sum", log_target=True) for a, b in ((one, other), (other, one))
    ]
    return both[0] + both[1]


class _SymmetricDivergence(KeptGradients):
    """With p and q the two softmaxes and d the logarithm of p / q, the gradient by the logits of
    the one is `p (d - KL(p || q)) + p - q`."""

    @staticmethod
    def forward(
        ctx: Any, both_XM: torch.Tensor, weight_VM: torch.Tensor, head: Head, learning: bool
    ) -> torch.Tensor:
        of_state, of_weight = (learning and needed for needed in ctx.needs_input_grad[:2])
        lift = HALF_RANGE if both_XM.dtype == torch.float16 else 1.0
        loss = both_XM.new_zeros((), dtype=torch.float32)
        grad_XM = torch.empty_like(both_XM) if of_state else None
        grad_VM = torch.zeros_like(weight_VM, dtype=torch.float32) if of_weight else None
        count = len(both_XM) // 2
        rows = max(1, CHUNK // (4 * len(weight_VM)))
        for start in range(0, count, rows):
            stop = min(start + rows, count)
            chunks = slice(start, stop), slice(count + start, count + stop)
            scored = [chunk_logits(both_XM[chunk], head) for chunk in chunks]
            log_CV, other_CV = (logits.log_softmax(-1) for logits, _ in scored)
            ratio_CV = log_CV - other_CV
            p_CV, q_CV = log_CV.exp_(), other_CV.exp_()
            loss += ((p_CV - q_CV) * ratio_CV).sum()
            if not (of_state or of_weight):
                continue
            for chunk, mine, theirs, ratio, (_, slope) in zip(
                chunks, (p_CV, q_CV), (q_CV, p_CV), (ratio_CV, -ratio_CV), scored, strict=True
            ):
                grad_CV = mine * (ratio - (mine * ratio).sum(-1, keepdim=True)) + mine - theirs
                grad_CV = (grad_CV if slope is None else grad_CV.mul_(slope)).mul_(lift)
                grad_CV = grad_CV.to(both_XM.dtype)
                if grad_XM is not None:
                    torch.mm(grad_CV, weight_VM, out=grad_XM[chunk])
                if grad_VM is not None:
                    grad_VM += grad_CV.T @ both_XM[chunk]
        ctx.gradients, ctx.lift, ctx.dtype = (grad_XM, grad_VM), lift, weight_VM.dtype
        return loss
