"""What an optimiser is to training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from unified_vl.parts import Part, Problem
from unified_vl.specs.optimizer import OptimizerSpec

Tensors = list[torch.Tensor]
Groups = list[dict[str, Any]]
"""Parameters (`params`), each group with its `weight_decay`, and its `lr_scale` for the engine."""


class OwnOptimizer(torch.optim.Optimizer):
    """An optimiser of this project: it updates the parameters of a group that have gradients.

    Args:
        groups: parameters, each with its `weight_decay`.
        spec: the keys of the run.
    """

    def __init__(self, groups: Groups, spec: OptimizerSpec) -> None:
        super().__init__(groups, {"lr": spec.lr, "weight_decay": spec.weight_decay})
        self.spec = spec

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        assert closure is None, "the gradients are there"
        for group in self.param_groups:
            changed = [x for x in group["params"] if x.grad is not None]
            if changed:
                self.update(changed, group["lr"], group["weight_decay"])

    def update(self, xs: Tensors, lr: float, weight_decay: float) -> None:
        """Change parameters of a group by their gradients.

        Args:
            xs: the parameters, at least one; each has a gradient.
            lr: the learning rate of the step.
            weight_decay: of the group.
        """
        raise NotImplementedError


def _none(spec: OptimizerSpec) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True)
class OptimizerKind:
    """An optimiser that `optimizer: {name: NAME}` names.

    Attributes:
        name: what specs call it.
        keys: its own keys under `optimizer`, each with a default.
        build: torch's optimiser, over groups of parameters. The engine sets the `lr` of each group
            at every step. ZeRO gives it flat tensors in place of the parameters, of which each
            rank may have a part: an update must treat every number alike. What it remembers of a
            tensor is one number, or as many as the tensor has; checkpoints hold that.
        rules: what is wrong with keys whose types are right.
        whole: whether it needs each parameter whole, in its own shape. It then may remember
            tensors of any shape, and runs at ZeRO 1 to 3 are refused.
    """

    name: str
    keys: type[Part]
    build: Callable[[Groups, OptimizerSpec], torch.optim.Optimizer]
    rules: Callable[[OptimizerSpec], Iterable[Problem]] = _none
    whole: bool = False
