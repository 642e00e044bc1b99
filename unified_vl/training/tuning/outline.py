"""The weights of a run's model, without memory for them: names, shapes, and what is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.image_tokenizer.image_tokenizer import load_image_tokenizer
from unified_vl.model.backbone import Backbone
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.model.tuning.names import named_weights
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import told_at_its_key
from unified_vl.training.beginning import backbone_config, beginning_of
from unified_vl.training.build import model_config
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.tuning.trained import Trained, choose_trained, trained_of


@dataclass(frozen=True)
class Weight:
    """A weight of a model.

    Attributes:
        name: as a saved model has it.
        shape: its sizes.
        lr_scale: what the learning rate is multiplied by; None where it is frozen.
    """

    name: str
    shape: tuple[int, ...]
    lr_scale: float | None

    def to_json(self) -> dict[str, Any]:
        """Its attributes, as JSON values."""
        return asdict(self)


def outline(run: Run) -> tuple[list[Weight], Trained]:
    """All weights in the model's order, and how many are trained.

    Raises:
        UserError: for a tokenizer, a model key or a pattern that does not fit.
    """
    beginning = beginning_of(run, resume=False)
    run = beginning.run
    vocabulary, text = load_tokenizer(run.tokenizer)
    image_tokenizer = load_image_tokenizer(run.tokenizer, vocabulary)
    theirs = backbone_config(beginning, vocabulary, text)
    model: Backbone
    with torch.device("meta"):
        if theirs is not None:
            model = TransformersBackbone(theirs)
        else:
            own = UnifiedVLForConditionalGeneration(model_config(run, vocabulary, image_tokenizer))
            own.tie_weights()
            model = own
        choose_trained(model, run)
    with told_at_its_key(run):
        groups = build_optimizer(model, run.optimizer).param_groups
    scales = {id(each): group["lr_scale"] for group in groups for each in group["params"]}
    found = [
        Weight(name, tuple(each.shape), scales.get(id(each)))
        for name, each in named_weights(model).items()
    ]
    return found, trained_of(model, digest=False)
