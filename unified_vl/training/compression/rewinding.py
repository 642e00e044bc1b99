"""The weights of an early step of a model's training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.training.compression.pruning import like


def rewound(source: Path, model: UnifiedVLForConditionalGeneration) -> Any:
    """A model of the same sizes, with the weights of a checkpoint or saved model.

    Args:
        source: OUTPUT/checkpoints/step-..., or a saved model.
        model: whose sizes they have to be of.

    Raises:
        UserError: for weights of other sizes, or that cannot be read.
    """
    found = open_pretrained(str(source), download=False)
    if isinstance(found, TransformersCheckpoint):
        raise UserError("is of `transformers`", file=source, expected="of this project")
    weights = {}
    for name, weight in model.state_dict().items():
        own, stored = tuple(weight.shape), found.shapes.get(name)
        tied = stored is None and name == "lm_head.weight" and model.config.tie_word_embeddings
        if tied:
            continue
        if stored is None or tuple(stored) != own:
            raise UserError(
                f"{name!r} is {'missing' if stored is None else list(stored)} there, and "
                f"{list(own)} in the model",
                file=source,
                field="rewind",
                expected="a checkpoint of the model's own training",
            )
        weights[name] = found.read(name).to(weight.dtype)
    fresh = like(model)
    fresh.load_state_dict(weights, strict=not model.config.tie_word_embeddings)
    return fresh
