"""The image encoders that a model may have."""

from __future__ import annotations

from torch import nn

from unified_vl.model.image_encoders.image_encoder import EncoderKind, Vision
from unified_vl.model.image_encoders.patches import PATCHES
from unified_vl.model.image_encoders.pooled_grid import pooled_grid
from unified_vl.model.image_encoders.stem import STEM
from unified_vl.model.image_encoders.timm_backbone import TIMM
from unified_vl.specs.runs import vision as specs

ENCODERS = {encoder.name: encoder for encoder in (PATCHES, STEM, TIMM)}


def register(encoder: EncoderKind) -> None:
    """Let runs name an image encoder, from now on and in this process.

    Whoever trains or opens a model with it registers it first; the command line finds it by an
    entry point of the group `unified_vl.plugins`.

    Raises:
        ValueError: for a name that is taken, or a key without a default or with another meaning.
    """
    specs.ENCODERS.add(encoder.variant)
    ENCODERS[encoder.name] = encoder


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    specs.ENCODERS.remove(name)
    del ENCODERS[name]


def grid_size(vision: Vision) -> tuple[int, int]:
    """Rows and columns of the tokens of one image: of its features, or of what pooling leaves.

    Raises:
        UserError: when the encoder cannot take such an image, or has fewer features.
    """
    return pooled_grid(vision.get("pool"), *ENCODERS[vision["kind"]].grid(vision))


def settled(vision: Vision) -> Vision:
    """The keys of a run as a saved model keeps them: with all that they take from elsewhere.

    Raises:
        UserError: when what they name is not there.
    """
    kept = ENCODERS[vision["kind"]].settle(vision)
    return {key: value for key, value in kept.items() if key not in specs.OF_TRAINING}


def start_encoder(features: nn.Module, vision: Vision) -> None:
    """Load what a run says that its image encoder starts from, once its weights were drawn.

    Raises:
        UserError: when that cannot be had, read or used.
    """
    ENCODERS[vision["kind"]].start(features, vision)
