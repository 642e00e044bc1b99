"""The loss of target tokens, without logits of a large vocabulary ever being there whole.

Logits of 1,024 tokens and 262,144 words are a gigabyte, their softmax and its gradient two more. In
chunks of rows only the gradients of hidden states and of the head are kept (as in Liger Kernel,
arXiv 2410.10989, section 3.2). `F.linear_cross_entropy` does likewise from torch 2.13 on, with
`batch_chunk_size`; it has no z-loss, and torch 2.11 has none of it.

Legend: B batch, T target length, R target tokens, C tokens of a chunk, M width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED

CHUNK = 1 << 24  # logits that are there at once: 64 MiB in float32
FEWEST_WORDS = 1 << 14  # of a vocabulary whose logits are chunked: on all ranks or on none
HALF_RANGE = 64.0  # lifts gradients of improbable words above what float16 can hold


@dataclass(frozen=True)
class Targets:
    """What a loss is asked for, and how.

    Attributes:
        labels: int64, -100 where there is no target; as many axes as hidden states before M.
        label_smoothing: mass that is spread evenly over the vocabulary (arXiv 1512.00567,
            section 7).
        z_loss: weight of the squared logarithm of the softmax's normalizer (arXiv 2204.02311,
            section 5).
        logits: whether logits are asked for beside it.
    """

    labels: torch.Tensor
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    logits: bool = True


@dataclass(frozen=True)
class Head:
    """How hidden states become logits: `cap(scale * hidden @ weight.T + bias)`.

    Attributes:
        weight: (V, M).
        bias: (V,), not learnt.
        cap: logits are `cap * tanh(logits / cap)`, if anything.
        scale: of hidden states.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    cap: float | None = None
    scale: float = 1.0


def token_loss_sum(
    logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float = 0.0, z_loss: float = 0.0
) -> torch.Tensor:
    """Cross-entropy summed over the target tokens, in float32.

    Positions without a target are left out before the softmax, not after it.

    Args:
        logits: (..., V), of any floating type.
        labels: (...), int64, -100 where there is no target.
        label_smoothing, z_loss: as `Targets` has them.
    """
    kept = labels != IGNORED
    logits_RV = logits[kept].float()
    loss = F.cross_entropy(
        logits_RV, labels[kept], reduction="sum", label_smoothing=label_smoothing
    )
    return loss + z_loss * logits_RV.logsumexp(-1).square().sum() if z_loss else loss


def chunked_loss_sum(
    hidden_RM: torch.Tensor, labels_R: torch.Tensor, head: Head, targets: Targets
) -> torch.Tensor:
    """What `token_loss_sum` gives for the head's logits, with its gradients, in chunks.

    Gradients are computed in the forward pass, while a chunk's logits are there; nothing is
    computed twice. They go to `hidden_RM` and the head's weight. Only one backward
    pass is possible.

    Args:
        hidden_RM: of target tokens alone.
        labels_R: a target each.
        head: of the model.
        targets: label smoothing and z-loss.
    """
    if head.scale != 1.0:
        hidden_RM = hidden_RM * head.scale
    loss: torch.Tensor = _ChunkedLoss.apply(
        hidden_RM, head.weight, labels_R, head, targets, torch.is_grad_enabled()
    )
    return loss


class KeptGradients(torch.autograd.Function):
    """Backward of a loss whose `forward` has its gradients already, of its first two inputs: hidden
    states (R, M) and the head's weight (V, M).

    `forward` keeps in its context `gradients`, of which each may be None, the `lift` that they were
    multiplied by, and the weight's `dtype`. Only one backward pass is possible.
    """

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        assert ctx.gradients is not None, "the loss has one backward pass"
        grad_RM, grad_VM = ctx.gradients
        ctx.gradients = None
        factor = grad.float() / ctx.lift
        if grad_RM is not None:
            grad_RM = (grad_RM.float() * factor).to(grad_RM.dtype)
        if grad_VM is not None:
            grad_VM = grad_VM.mul_(factor).to(ctx.dtype)
        others = len(ctx.needs_input_grad) - 2
        return grad_RM, grad_VM, *(None,) * others


class _ChunkedLoss(KeptGradients):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RM: torch.Tensor,
        weight_VM: torch.Tensor,
        labels_R: torch.Tensor,
        head: Head,
        targets: Targets,
        learning: bool,
    ) -> torch.Tensor:
        of_hidden, of_weight = (learning and needed for needed in ctx.needs_input_grad[:2])
        lift = HALF_RANGE if hidden_RM.dtype == torch.float16 else 1.0
        loss = hidden_RM.new_zeros((), dtype=torch.float32)
        grad_RM = torch.empty_like(hidden_RM) if of_hidden else None
        grad_VM = torch.zeros_like(weight_VM, dtype=torch.float32) if of_weight else None
        rows = max(1, CHUNK // len(weight_VM))
        for start in range(0, len(hidden_RM), rows):
            chunk = slice(start, start + rows)
            told, grad_CV = _chunk(hidden_RM[chunk], labels_R[chunk], head, targets)
            loss += told
            if not (of_hidden or of_weight):
                continue
            grad_CV = (grad_CV * lift if lift != 1.0 else grad_CV).to(hidden_RM.dtype)
            if grad_RM is not None:
                torch.mm(grad_CV, weight_VM, out=grad_RM[chunk])
            if grad_VM is not None and grad_CV.dtype == grad_VM.dtype:
                grad_VM.addmm_(grad_CV.T, hidden_RM[chunk])
            elif grad_VM is not None:
                grad_VM += grad_CV.T @ hidden_RM[chunk]
        ctx.gradients, ctx.lift, ctx.dtype = (grad_RM, grad_VM), lift, weight_VM.dtype
        return loss


def _chunk(
    hidden_CM: torch.Tensor, labels_C: torch.Tensor, head: Head, targets: Targets
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a chunk, and its gradient by the products with the head's weight, (C, V).

    With p the softmax, s the smoothing and z the z-loss's weight, the gradient by the logits is
    `p * (1 + 2 z log Z) - (1 - s) onehot - s / V`. All is done in the memory of the logits.
    """
    smoothing, z_loss = targets.label_smoothing, targets.z_loss
    logits_CV = F.linear(hidden_CM, head.weight, head.bias).float()
    if head.cap is not None:
        logits_CV = logits_CV.div_(head.cap).tanh_()
        capped_CV = logits_CV.clone()
        logits_CV.mul_(head.cap)
    vocabulary = logits_CV.shape[1]
    place_C1 = labels_C[:, None]
    target_C = logits_CV.gather(1, place_C1).squeeze(1)
    highest_C1 = logits_CV.amax(1, keepdim=True)
    mean_C = logits_CV.mean(1) if smoothing else 0.0
    logits_CV.sub_(highest_C1).exp_()
    sum_C1 = logits_CV.sum(1, keepdim=True)
    normalizer_C = (sum_C1.log() + highest_C1).squeeze(1)
    loss_C = normalizer_C - (1 - smoothing) * target_C - smoothing * mean_C
    factor_C1 = sum_C1.reciprocal()
    if z_loss:
        loss_C = loss_C + z_loss * normalizer_C.square()
        factor_C1 = factor_C1 * (1 + 2 * z_loss * normalizer_C[:, None])
    grad_CV = logits_CV.mul_(factor_C1)
    if smoothing:
        grad_CV.sub_(smoothing / vocabulary)
    grad_CV.scatter_add_(1, place_C1, torch.full_like(target_C, smoothing - 1)[:, None])
    if head.cap is not None:
        grad_CV.mul_(1 - capped_CV.square())
    return loss_C.sum(), grad_CV
