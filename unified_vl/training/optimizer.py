"""The optimiser of a run and its learning rate at each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from unified_vl.specs.run import OptimizerSpec


def learning_rate(step: int, steps: int, spec: OptimizerSpec) -> float:
    """The learning rate of step `step`, counted from 0, out of `steps`.

    It rises linearly over the warm-up, stays, and from `decay_from` of all steps falls
    along a line or half a cosine; the first step after the last would have none.
    """
    if step < spec.warmup_steps:
        return spec.lr * (step + 1) / spec.warmup_steps
    start = max(round(spec.decay_from * steps), spec.warmup_steps)
    if spec.decay == "constant" or step < start:
        return spec.lr
    done = (step - start) / (steps - start)
    left = 1 - done if spec.decay == "linear" else (1 + math.cos(math.pi * done)) / 2
    return spec.lr * max(left, 0.0)


def build_optimizer(model: nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101) with weight decay on matrices only.

    Embeddings (a head that is tied to one counts as such), norms and biases are not
    decayed. The image branch and the embeddings may learn at rates of their own: the engine
    multiplies each group's by its `lr_scale`. The fused kernels do the update in one pass,
    on CPU as on CUDA.
    """
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and id(parameter) not in embeddings
            scale = spec.vision_lr_scale if "vision" in name.split(".") else 1.0
            if id(parameter) in embeddings:
                scale = spec.embedding_lr_scale
            key = (spec.weight_decay if decayed else 0.0, scale)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "lr_scale": scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=spec.lr,
        betas=spec.betas,
        eps=spec.eps,
        fused=True,
    )
