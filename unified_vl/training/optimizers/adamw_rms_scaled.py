"""AdamW whose updates are in proportion to what they change (nanoT5, arXiv 2309.02373)."""

from __future__ import annotations

import torch

from unified_vl.specs.optimizer import AdamWRmsScaledKeys
from unified_vl.training.optimizers.optimizer import OptimizerKind, OwnOptimizer, Tensors


class AdamWRmsScaled(OwnOptimizer):
    """AdamW with the matrix-wise learning rate of nanoT5 (section 3.1).

    x <- x (1 - lr weight_decay) - lr max(RMS(x), rms_floor) m / (sqrt(v) + eps), where m and v are
    AdamW's unbiased running means, and RMS(x) the root mean square of the parameter before.
    """

    def update(self, xs: Tensors, lr: float, weight_decay: float) -> None:
        spec, (first, second) = self.spec, self.spec.betas
        grads: Tensors = [x.grad for x in xs if x.grad is not None]
        for x in xs:
            if "step" not in self.state[x]:
                self.state[x].update(
                    step=torch.zeros((), dtype=torch.float32),
                    exp_avg=torch.zeros_like(x),
                    exp_avg_sq=torch.zeros_like(x),
                )
        means: Tensors = [self.state[x]["exp_avg"] for x in xs]
        squares: Tensors = [self.state[x]["exp_avg_sq"] for x in xs]
        for x in xs:
            self.state[x]["step"] += 1
        torch._foreach_lerp_(means, grads, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, grads, grads, 1 - second)
        steps = [self.state[x]["step"].item() for x in xs]
        divisors: Tensors = list(torch._foreach_sqrt(squares))
        torch._foreach_div_(divisors, [(1 - second**step) ** 0.5 for step in steps])
        torch._foreach_add_(divisors, spec.eps)
        norms = torch.stack(list(torch._foreach_norm(xs))).tolist()
        sizes = [norm / x.numel() ** 0.5 for norm, x in zip(norms, xs, strict=True)]
        rates = [
            -lr * max(size, spec.rms_floor) / (1 - first**step)
            for size, step in zip(sizes, steps, strict=True)
        ]
        if weight_decay:
            torch._foreach_mul_(xs, 1 - lr * weight_decay)
        torch._foreach_addcdiv_(xs, means, divisors, rates)


ADAMW_RMS_SCALED = OptimizerKind("adamw_rms_scaled", AdamWRmsScaledKeys, AdamWRmsScaled, whole=True)
