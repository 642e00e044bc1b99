"""The learning rate of each step."""

from __future__ import annotations

import math

from unified_vl.specs.optimizer import OptimizerSpec


def learning_rate(step: int, steps: int, spec: OptimizerSpec) -> float:
    """The learning rate of step `step`, counted from 0, out of `steps`.

    It increases linearly over the warm-up, stays, and from `decay_from` of all steps decays
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
