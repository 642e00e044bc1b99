"""AdamW (arXiv 1711.05101)."""

from __future__ import annotations

import torch

from unified_vl.specs.optimizer import AdamWKeys, OptimizerSpec
from unified_vl.training.optimizers.optimizer import Groups, OptimizerKind


def build(groups: Groups, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """The fused kernels do the update in one pass, on CPU as on CUDA."""
    return torch.optim.AdamW(groups, lr=spec.lr, betas=spec.betas, eps=spec.eps, fused=True)


ADAMW = OptimizerKind("adamw", AdamWKeys, build)
