"""The learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from unified_vl.specs.optimizer import OptimizerSpec

Continuation = Literal["replan", "rewarm", "cooldown", "constant"]


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
    return spec.lr * decayed(done, spec.decay)


def decayed(done: float, decay: str) -> float:
    """What is left of the rate after a fraction of its decay, from 1 to 0."""
    return max((1 + math.cos(math.pi * done)) / 2 if decay == "cosine" else 1 - done, 0.0)


class LearningRate:
    """The rate of every step of a run, also of one that goes on with other steps than planned.

    Args:
        spec: the keys of the optimiser.
        steps: of the run.
    """

    def __init__(self, spec: OptimizerSpec, steps: int) -> None:
        self.spec = spec
        self.steps = steps
        self._begin = 0  # the step, from 0, at which it went on in another way than planned
        self._first = 0.0  # the rate before it
        self._way: Continuation = "replan"

    def at(self, step: int) -> float:
        """Of a step, counted from 0."""
        spec, done, left = self.spec, step - self._begin, self.steps - self._begin
        match self._way:
            case "constant":
                return self._first
            case "cooldown":
                return self._first * decayed(done / left, spec.decay)
            case "rewarm" if done < spec.warmup_steps:
                return self._first + (spec.lr - self._first) * (done + 1) / spec.warmup_steps
            case "rewarm":
                return learning_rate(done, left, spec)
        return learning_rate(step, self.steps, spec)

    def go_on(self, way: Continuation, step: int, rate: float) -> None:
        """Go on in another way from `step`, counted from 0, whose predecessor had `rate`.

        `rewarm` increases from it to `lr` during `warmup_steps`, and decays as a run of the steps
        that are left does (arXiv 2403.08763, section 4); `cooldown` decays from it to zero, along a
        line unless `decay` is `cosine` (arXiv 2405.18392, section 3).
        """
        self._way = way
        self._begin, self._first = (0, 0.0) if way == "replan" else (step, rate)

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return {"way": self._way, "begin": self._begin, "first": self._first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._way, self._begin, self._first = state["way"], state["begin"], state["first"]
