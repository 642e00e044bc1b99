"""Weights that stay as they are, and batch norms whose statistics do."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from types import MethodType

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from unified_vl.errors import UserError
from unified_vl.model.tuning.names import matching, named_weights


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Train no weight whose name matches one of the patterns.

    Raises:
        UserError: naming the key, when a pattern matches none, or nothing is left to train.
    """
    weights = named_weights(model)
    for index, pattern in enumerate(patterns):
        for name in matching(pattern, model, weights, f"freeze.{index}"):
            weights[name].requires_grad_(False)
    if not any(weight.requires_grad for weight in weights.values()):
        raise UserError(
            "all weights are frozen: there is nothing to train",
            field="freeze",
            expected="patterns that leave some, such as 'encoder.*' alone",
        )
    still_norms(model, patterns)


def still_norms(model: nn.Module, patterns: Sequence[str] = ()) -> None:
    """Keep the batch norms whose weights are all frozen in evaluation mode: they use the statistics
    that they have, and do not change them.

    Args:
        model: with some weights frozen.
        patterns: of those, which decide of norms that have no weights.
    """
    for name, module in model.named_modules():
        if isinstance(module, _NormBase) and module.running_mean is not None:
            weights = list(module.parameters(recurse=False))
            frozen = not any(weight.requires_grad for weight in weights)
            if not weights:
                frozen = any(fnmatchcase(f"{name}.running_mean", each) for each in patterns)
            if frozen:
                module.train = MethodType(_stay, module)  # type: ignore[method-assign]
                module.train()


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(module, False)
