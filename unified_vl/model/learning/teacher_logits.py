"""The divergence from a teacher's probabilities, without logits of a large vocabulary ever being
there whole.

As `target_loss` does, gradients are computed in the forward pass, while a chunk's logits are there.

Legend: R target tokens, C tokens of a chunk, M width of the student, W width of the teacher,
V vocabulary, X rows and M width of either.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.model.learning.target_loss import CHUNK, HALF_RANGE, Head, KeptGradients


def divergence_sum(
    own_RM: torch.Tensor,
    shown_RW: torch.Tensor,
    own: Head,
    shown: Head,
    temperature: float,
) -> torch.Tensor:
    """t^2 KL(teacher || student) summed over target tokens, both softmaxes at temperature t.

    Gradients go to `own_RM` and the student's head; only one backward pass is possible.

    Args:
        own_RM, shown_RW: states that the heads of student and teacher score.
        own, shown: their heads, of one vocabulary.
        temperature: t.
    """
    loss: torch.Tensor = _Divergence.apply(
        own_RM * own.scale if own.scale != 1.0 else own_RM,
        own.weight,
        shown_RW * shown.scale,
        own,
        shown,
        temperature,
        torch.is_grad_enabled(),
    )
    return loss


def chunk_logits(hidden_XM: torch.Tensor, head: Head) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Logits (X, V) in float32 of hidden states that are scaled already, and what a gradient by
    them is multiplied by to be one by the products with the head's weight (X, V), if by anything.
    """
    logits_XV = F.linear(hidden_XM, head.weight, head.bias).float()
    if head.cap is None:
        return logits_XV, None
    capped_XV = logits_XV.div_(head.cap).tanh_()
    return capped_XV * head.cap, 1 - capped_XV.square()


class _Divergence(KeptGradients):
    @staticmethod
    def forward(
        ctx: Any,
        own_RM: torch.Tensor,
        own_VM: torch.Tensor,
        shown_RW: torch.Tensor,
        own: Head,
        shown: Head,
        temperature: float,
        learning: bool,
    ) -> torch.Tensor:
        of_state, of_weight = (learning and needed for needed in ctx.needs_input_grad[:2])
        lift = HALF_RANGE if own_RM.dtype == torch.float16 else 1.0
        loss = own_RM.new_zeros((), dtype=torch.float32)
        grad_RM = torch.empty_like(own_RM) if of_state else None
        grad_VM = torch.zeros_like(own_VM, dtype=torch.float32) if of_weight else None
        rows = max(1, CHUNK // (2 * len(own_VM)))
        for start in range(0, len(own_RM), rows):
            chunk = slice(start, start + rows)
            own_CV, slope_CV = chunk_logits(own_RM[chunk], own)
            own_CV = own_CV.div_(temperature).log_softmax(-1)
            shown_CV, _ = chunk_logits(shown_RW[chunk], shown)
            shown_CV = shown_CV.div_(temperature).log_softmax(-1)
            likely_CV = shown_CV.exp()
            loss += (likely_CV * shown_CV.sub_(own_CV)).sum() * temperature**2
            if not (of_state or of_weight):
                continue
            grad_CV = own_CV.exp_().sub_(likely_CV).mul_(temperature * lift)
            grad_CV = (grad_CV if slope_CV is None else grad_CV.mul_(slope_CV)).to(own_RM.dtype)
            if grad_RM is not None:
                torch.mm(grad_CV, own_VM, out=grad_RM[chunk])
            if grad_VM is not None:
                grad_VM += grad_CV.T @ own_RM[chunk]
        ctx.gradients, ctx.lift, ctx.dtype = (grad_RM, grad_VM), lift, own_VM.dtype
        return loss
