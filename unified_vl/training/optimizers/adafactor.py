"""Adafactor (arXiv 1804.04235): of a matrix it remembers a row and a column.

Legend: R rows, C columns of a matrix; a tensor of more axes is a stack of its last two.
"""

from __future__ import annotations

from typing import Any

import torch

from unified_vl.specs.optimizer import AdafactorKeys
from unified_vl.training.optimizers.optimizer import OptimizerKind, OwnOptimizer, Tensors

TINY = 1e-30  # epsilon 1 of the paper, section 9: keeps a second moment above zero


class Adafactor(OwnOptimizer):
    """Algorithms 4 and 5 of the paper, with the learning rate that the run gives to each step.

    Without a running mean of gradients (section 5 on), with update clipping (section 6) and a decay
    of the second moment that increases (section 7.2); relative step sizes (section 8) where
    `scale_parameter` is on: the rate counts in units of the parameter's root mean square. Weight
    decay is decoupled, as AdamW's.
    """

    def update(self, xs: Tensors, lr: float, weight_decay: float) -> None:
        for x in xs:
            self._update(x, self.state[x], lr, weight_decay)

    def _update(
        self, x: torch.Tensor, state: dict[str, Any], lr: float, weight_decay: float
    ) -> None:
        spec, grad = self.spec, x.grad
        assert grad is not None
        step = state.setdefault("step", torch.zeros((), dtype=torch.float32))
        step += 1
        share = step.item() ** -spec.decay_rate  # of the newest square; the first is all of it
        square = grad.square().add_(TINY)
        if x.ndim < 2:
            _mean(state, "exp_avg_sq", square, share)
            update = grad * state["exp_avg_sq"].rsqrt()
        else:
            _mean(state, "exp_avg_sq_row", square.mean(-1), share)
            _mean(state, "exp_avg_sq_col", square.mean(-2), share)
            rows_R, columns_C = state["exp_avg_sq_row"], state["exp_avg_sq_col"]
            scale_R1 = (rows_R / rows_R.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
            update = grad * scale_R1 * columns_C.rsqrt().unsqueeze(-2)
        update /= (rms(update) / spec.clip_threshold).clamp_(min=1.0)
        if spec.scale_parameter:
            update *= rms(x).clamp_(min=spec.rms_floor)
        if weight_decay:
            x.mul_(1 - lr * weight_decay)
        x.add_(update, alpha=-lr)


def _mean(state: dict[str, Any], name: str, value: torch.Tensor, share: float) -> None:
    """Let a running mean take in a value with its share."""
    if name in state:
        state[name].lerp_(value, share)
    else:
        state[name] = value


def rms(x: torch.Tensor) -> torch.Tensor:
    """Root mean square of all numbers of a tensor."""
    return torch.linalg.vector_norm(x) / x.numel() ** 0.5


ADAFACTOR = OptimizerKind("adafactor", AdafactorKeys, Adafactor, whole=True)
