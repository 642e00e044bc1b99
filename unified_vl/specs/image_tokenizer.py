"""An image tokenizer: what it is, what it learns from, and how."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.parts import FOLLOWERS
from unified_vl.specs.optimizer import OPTIMIZERS, OptimizerSpec
from unified_vl.specs.reading.document import (
    KeyPath,
    Name,
    Part,
    Problem,
    Steps,
    Version,
    Weight,
    refuse,
)
from unified_vl.specs.spec import Spec

Count = Annotated[int, Field(ge=1, le=1 << 16)]
Small = Annotated[int, Field(ge=1, le=1 << 10)]


class LocalEncoderSpec(Part):
    """An encoder without convolutions: every code tells of its own square of pixels alone."""

    channels: Count = Field(description="Width of its linear layers.", examples=[256])
    blocks: Small = Field(default=3, description="Residual blocks.", examples=[3])


class ConvolutionSpec(Part):
    """The convolutional encoder and decoder."""

    channels: tuple[Count, ...] = Field(
        min_length=1,
        max_length=16,
        description="Channels of each level, the finest first; each halves the sides.",
        examples=[[64, 128, 256]],
    )
    patch: Small = Field(
        default=1,
        description="Side of the squares of pixels that become channels first.",
        examples=[2],
    )
    blocks: Small = Field(default=2, description="Residual blocks of a level.", examples=[2])
    groups: Count = Field(default=32, description="Groups of the group norms.", examples=[32])
    latent: Count = Field(
        default=8, description="Channels between encoder and quantiser.", examples=[8]
    )
    attention: tuple[Annotated[int, Field(ge=0, le=64)], ...] = Field(
        default=(),
        description="Levels, counted from 0, with attention among places.",
        examples=[[2]],
    )
    attend_in_the_middle: bool = Field(
        default=True,
        description="Whether the middle of the coarsest level has attention.",
        examples=[False],
    )

    local_encoder: LocalEncoderSpec | None = Field(
        default=None,
        description="Encodes each square of pixels by itself, in place of the convolutional "
        "encoder: what is plain is always the same code, and a code does not change with what "
        "lies around it, as what is missing of a picture to be completed.",
        examples=[{"channels": 256, "blocks": 3}],
    )

    @property
    def downsampling(self) -> int:
        """Pixels of a side of what one code stands for."""
        return self.patch * 2 ** (len(self.channels) - 1)


class QuantizerSpec(Part):
    """How a vector becomes one of a number of codes."""

    kind: Literal["vq", "fsq", "lfq"] = Field(
        default="vq",
        description="A codebook of running means (VQ, arXiv 1711.00937 appendix A.1), rounding to "
        "levels (FSQ, arXiv 2309.15505) or signs (lookup-free, arXiv 2310.05737).",
        examples=["vq"],
    )
    codes: int | None = Field(
        default=None,
        ge=2,
        le=1 << 20,
        description="Number of codes (vq; lfq: a power of two).",
        examples=[8192],
    )
    levels: tuple[Annotated[int, Field(ge=3, le=64)], ...] | None = Field(
        default=None,
        min_length=1,
        description="fsq only: levels of each channel.",
        examples=[[8, 5, 5, 5]],
    )
    decay: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.99, description="vq only: decay of the running means.", examples=[0.99]
    )
    commitment: float = Field(
        default=0.25,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="Weight of the commitment loss.",
        examples=[0.25],
    )
    revive_below: float = Field(
        default=0.5,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="vq only: a code whose running count is lower takes the place of a vector of "
        "the batch.",
        examples=[0.5],
    )

    @property
    def size(self) -> int:
        """Number of codes."""
        return self.codes or math.prod(self.levels or (1,))


class PerceptualSpec(Part):
    """A distance in the features of an image classifier, as in LPIPS without its weights."""

    backbone: str = Field(
        min_length=1, description="A model of `timm` with feature maps.", examples=["vgg16"]
    )
    weights: Path = Field(
        description="Its weights (safetensors), relative to the working directory.",
        examples=["weights/vgg16.safetensors"],
    )
    weight: Weight = Field(default=1.0, description="Weight of the loss.", examples=[0.5])


class AdversarialSpec(Part):
    """A discriminator of patches (PatchGAN, as in VQGAN)."""

    weight: Weight = Field(default=0.1, description="Weight of the loss.", examples=[0.1])
    from_step: int = Field(
        default=0, ge=0, le=10**12, description="Step from which it counts.", examples=[10000]
    )
    channels: Count = Field(default=64, description="Channels of the first layer.", examples=[64])


class ImageTokenizerLosses(Part):
    """What the image tokenizer learns by."""

    pixels: Literal["l1", "l2"] = Field(
        default="l1", description="Distance of pixels in the scale -1 to 1.", examples=["l1"]
    )
    perceptual: PerceptualSpec | None = Field(
        default=None,
        description="A distance of features, where weights are at hand.",
        examples=[{"backbone": "vgg16", "weights": "weights/vgg16.safetensors"}],
    )
    adversarial: AdversarialSpec | None = Field(
        default=None,
        description="A discriminator that the decoder has to convince.",
        examples=[{"from_step": 10000}],
    )


class ImageTokenizerSpec(Spec):
    """The training of an image tokenizer, as its YAML file says."""

    image_tokenizer: Name = Field(description="Name of the tokenizer.", examples=["photos"])
    version: Version = Field(
        description="Raise it when the same codes would mean another image.", examples=[1]
    )
    about: str = Field(
        min_length=1,
        description="What it is for, in one sentence.",
        examples=["Photos of 256 pixels as 32 x 32 codes."],
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=1 << 63,
        description="Decides everything that is random.",
        examples=[0],
    )
    data: Path = Field(description="The data root, relative to this file.", examples=["data"])
    images: tuple[str, ...] = Field(
        min_length=1,
        description="Patterns of the images to learn from, below the data root.",
        examples=[["photos/train/*.jpg"]],
    )
    held_out: tuple[str, ...] = Field(
        min_length=1,
        description="Patterns of images that are only reported on.",
        examples=[["photos/test/*.jpg"]],
    )
    output: Path = Field(
        description="Directory to write, relative to this file.",
        examples=["tokenizers/image/photos"],
    )
    image_size: tuple[Count, Count] = Field(
        description="Height and width that it learns at.", examples=[[256, 256]]
    )
    crop: Literal["center", "random"] = Field(
        default="center",
        description="What of an image of another shape it sees.",
        examples=["random"],
    )
    model: ConvolutionSpec = Field(
        description="The convolutional encoder and decoder.",
        examples=[{"channels": [64, 128, 256, 512]}],
    )
    quantizer: QuantizerSpec = Field(
        description="How a vector becomes a code.", examples=[{"kind": "vq", "codes": 8192}]
    )
    losses: ImageTokenizerLosses = Field(
        default_factory=ImageTokenizerLosses,
        description="What it learns by.",
        examples=[{"pixels": "l1"}],
    )
    optimizer: OptimizerSpec = Field(
        default_factory=OptimizerSpec,
        description="The optimiser and its learning rate.",
        examples=[{"lr": 0.0004}],
    )
    clip: Weight = Field(default=1.0, description="Largest norm of the gradient.", examples=[1.0])
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="What convolutions compute in.", examples=["bf16"]
    )
    steps: Steps = Field(description="Optimiser steps.", examples=[100000])
    batch_size: Count = Field(description="Images of a step.", examples=[32])
    log_every: Steps = Field(default=50, description="Steps between two log lines.", examples=[50])
    checkpoint_every: Steps = Field(
        default=500, description="Steps between two checkpoints.", examples=[1000]
    )

    @model_validator(mode="after")
    def _obey_rules(self) -> ImageTokenizerSpec:
        name = self.optimizer.name
        said = f"the optimiser {name!r} does not read this"
        given = self.optimizer.model_fields_set
        idle = OPTIMIZERS.idle_problems(name, given, ("optimizer",), said)
        refuse([*idle, *_sizes(self), *_quantizer(self)])
        return self


def _sizes(spec: ImageTokenizerSpec) -> list[Problem]:
    problems = []
    step = spec.model.downsampling
    if any(side % step for side in spec.image_size):
        problems.append(
            Problem(
                ("image_size",),
                f"{list(spec.image_size)} cannot be cut into squares of {step} pixels",
                expected=f"multiples of {step}",
            )
        )
    for number, channels in enumerate(spec.model.channels):
        if channels % spec.model.groups:
            problems.append(
                Problem(
                    ("model", "channels", number),
                    f"{channels} channels cannot be normed in {spec.model.groups} groups",
                    expected=f"a multiple of {spec.model.groups}",
                )
            )
    for level in spec.model.attention:
        if level >= len(spec.model.channels):
            problems.append(
                Problem(
                    ("model", "attention"),
                    f"there is no level {level}",
                    expected=f"0 to {len(spec.model.channels) - 1}",
                )
            )
    return problems


def _quantizer(spec: ImageTokenizerSpec) -> list[Problem]:
    quantizer, latent = spec.quantizer, spec.model.latent
    place: KeyPath = ("quantizer",)
    if quantizer.kind == "fsq":
        if quantizer.levels is None or quantizer.codes is not None:
            return [Problem((*place, "levels"), "fsq is made of levels", "`levels`, no `codes`")]
        if len(quantizer.levels) != latent:
            found = f"{len(quantizer.levels)} levels for model.latent {latent}"
            return [Problem((*place, "levels"), found, expected="one a channel")]
        return []
    if quantizer.codes is None or quantizer.levels is not None:
        found = f"{quantizer.kind} is made of codes"
        return [Problem((*place, "codes"), found, expected="`codes`, no `levels`")]
    if quantizer.kind == "lfq" and quantizer.codes != 2**latent:
        found = f"{quantizer.codes} codes for model.latent {latent}"
        return [Problem((*place, "codes"), found, expected=f"2 ** latent, {2**latent}")]
    return []


FOLLOWERS.append(partial(ImageTokenizerSpec.model_rebuild, force=True))
