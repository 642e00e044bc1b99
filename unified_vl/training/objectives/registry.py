"""The objectives that a mixture may ask for, beside the loss of target tokens."""

from __future__ import annotations

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.model.backbone import BackboneConfig
from unified_vl.specs.mixture import Mixture, MixtureTask
from unified_vl.specs.objectives import keys as specs
from unified_vl.specs.variants import Variant
from unified_vl.training.objectives.adversarial import ADVERSARIAL
from unified_vl.training.objectives.alignment import ALIGNMENT
from unified_vl.training.objectives.contrast import CONTRAST
from unified_vl.training.objectives.masked_regions import (
    MASKED_REGION_CLASSES,
    MASKED_REGION_FEATURES,
)
from unified_vl.training.objectives.matching import MATCHING
from unified_vl.training.objectives.momentum_distillation import MOMENTUM_DISTILLATION
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.phrase_alignment import PHRASE_ALIGNMENT
from unified_vl.training.objectives.text_as_image import TEXT_AS_IMAGE
from unified_vl.training.objectives.text_contrast import TEXT_CONTRAST

OBJECTIVES = {
    kind.name: kind
    for kind in (
        CONTRAST,
        MATCHING,
        ALIGNMENT,
        PHRASE_ALIGNMENT,
        MOMENTUM_DISTILLATION,
        ADVERSARIAL,
        TEXT_AS_IMAGE,
        TEXT_CONTRAST,
        MASKED_REGION_FEATURES,
        MASKED_REGION_CLASSES,
    )
}


def register(kind: ObjectiveKind) -> None:
    """Let tasks of mixtures ask for an objective, from now on and in this process.

    Raises:
        ValueError: for a name that is taken, a key without a default or with another meaning, or
            no key of its name.
    """
    if kind.name not in kind.keys.model_fields:
        raise ValueError(f"{kind.keys.__name__} has no key {kind.name!r}, which asks for it")
    specs.OBJECTIVES.add(Variant(kind.name, kind.keys, kind.rules))
    OBJECTIVES[kind.name] = kind


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    specs.OBJECTIVES.remove(name)
    del OBJECTIVES[name]


def objectives_of(
    entry: MixtureTask, mixture: Mixture, config: BackboneConfig, codec: SequenceCodec
) -> dict[str, Objective]:
    """The objectives that a task of a mixture asks for, by name."""
    asked = (name for name in OBJECTIVES if getattr(entry, name))
    made = {name: OBJECTIVES[name].make(entry, config) for name in asked}
    for objective in made.values():
        objective.meet(codec, mixture)
    return made
