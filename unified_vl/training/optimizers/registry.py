"""The optimisers that a run may ask for."""

from __future__ import annotations

import torch
from torch import nn

from unified_vl.model.tuning.names import saved_name, scales_of
from unified_vl.specs import optimizer as specs
from unified_vl.specs.optimizer import OptimizerSpec, OptimizerVariant
from unified_vl.training.optimizers.adafactor import ADAFACTOR
from unified_vl.training.optimizers.adamw import ADAMW
from unified_vl.training.optimizers.adamw_rms_scaled import ADAMW_RMS_SCALED
from unified_vl.training.optimizers.optimizer import Groups, OptimizerKind

OPTIMIZERS = {kind.name: kind for kind in (ADAMW, ADAFACTOR, ADAMW_RMS_SCALED)}


def register(kind: OptimizerKind) -> None:
    """Let runs name an optimiser, from now on and in this process.

    Raises:
        ValueError: for a name that is taken, or a key without a default or with another meaning.
    """
    specs.OPTIMIZERS.add(OptimizerVariant(kind.name, kind.keys, kind.rules, kind.whole))
    OPTIMIZERS[kind.name] = kind


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    specs.OPTIMIZERS.remove(name)
    del OPTIMIZERS[name]


def build_optimizer(model: nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """The optimiser that a run asks for, with weight decay on matrices only.

    Embeddings (a head that is tied to one counts as such), norms and biases are not
    decayed. The image branch, the embeddings and what `lr_scales` names may learn at rates of
    their own: the engine multiplies each group's by its `lr_scale`.

    Raises:
        UserError: naming the key, for a pattern of `lr_scales` that matches nothing.
    """
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    scales = scales_of(model, spec.lr_scales)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and id(parameter) not in embeddings
            scale = spec.vision_lr_scale if "vision" in name.split(".") else 1.0
            if id(parameter) in embeddings:
                scale = spec.embedding_lr_scale
            scale = scales.get(saved_name(name), scale)
            key = (spec.weight_decay if decayed else 0.0, scale)
            groups.setdefault(key, []).append(parameter)
    made: Groups = [
        {"params": parameters, "weight_decay": decay, "lr_scale": scale}
        for (decay, scale), parameters in groups.items()
    ]
    return OPTIMIZERS[spec.name].build(made, spec)
