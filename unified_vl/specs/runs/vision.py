"""How an image becomes a grid of features: the `vision` keys of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from unified_vl.specs.reading.document import OneOf, Part, Problem
from unified_vl.specs.variants import Variant, Variants

CHANNELS_OF_A_GROUP = 16
STEM_STRIDE = 4  # of the stem's first convolution; each further stage doubles it

Width = Annotated[int, Field(ge=1, le=1 << 16)]
Side = Annotated[int, Field(ge=1, le=1 << 13)]


class PatchKeys(Part):
    """Of encoders that cut an image into squares."""

    patch_size: Side = Field(
        default=16,
        description="patches, stem: side in pixels of what one token of an image stands for.",
        examples=[16],
    )


class StemKeys(PatchKeys):
    """Of small residual convolutions."""

    channels: tuple[Width, ...] = Field(
        default=(64, 128),
        min_length=1,
        description=f"stem: channels of each stage, multiples of {CHANNELS_OF_A_GROUP}; the first "
        f"has stride {STEM_STRIDE}, each further one doubles it.",
        examples=[[64, 128]],
    )


class TimmKeys(Part):
    """Of backbones of `timm`."""

    backbone: str = Field(
        default="resnet18",
        min_length=1,
        description="timm: name of the backbone; it starts at random.",
        examples=["convnext_tiny"],
    )
    feature_level: int = Field(
        default=-1,
        ge=-64,
        le=63,
        description="timm: which of its feature maps; -1 is the last.",
        examples=[-1],
    )


def _squares(vision: VisionSpec) -> Iterator[Problem]:
    height, width = vision.image_size
    if height % vision.patch_size or width % vision.patch_size:
        yield Problem(
            ("image_size",),
            f"{height} x {width} pixels cannot be cut into squares of {vision.patch_size}",
            expected=f"multiples of {vision.patch_size}, the patch_size",
        )


def _stem(vision: VisionSpec) -> Iterator[Problem]:
    problems = list(_stages(vision))
    yield from problems or _squares(vision)


def _stages(vision: VisionSpec) -> Iterator[Problem]:
    for index, channels in enumerate(vision.channels):
        if channels % CHANNELS_OF_A_GROUP:
            yield Problem(
                ("channels", index),
                f"{channels} channels cannot be normed in groups of {CHANNELS_OF_A_GROUP}",
                expected=f"a multiple of {CHANNELS_OF_A_GROUP}",
            )
    stride = STEM_STRIDE * 2 ** (len(vision.channels) - 1)
    if vision.patch_size % stride:
        yield Problem(
            ("patch_size",),
            f"{len(vision.channels)} stages have stride {stride}, which does not divide "
            f"{vision.patch_size}",
            expected=f"a multiple of {stride}",
        )


ENCODERS = Variants(
    "an image encoder",
    Variant("patches", PatchKeys, _squares),
    Variant("stem", StemKeys, _stem),
    Variant("timm", TimmKeys),
)


class GeneralVisionKeys(Part):
    """Of all image encoders."""

    kind: Annotated[str, OneOf(lambda: ENCODERS)] = Field(
        default="patches",
        description="One linear projection of each square of pixels, small residual convolutions, "
        "or a feature map of a `timm` backbone.",
        examples=["stem"],
    )
    image_size: tuple[Side, Side] = Field(
        default=(224, 224),
        description="Height and width in pixels that every image is brought to.",
        examples=[[224, 224]],
    )


class VisionSpec(TimmKeys, StemKeys, GeneralVisionKeys):
    """How an image becomes a grid of features."""

    def problems(self) -> Iterator[Problem]:
        """What is wrong with it beyond the types of its keys; the model that it is of asks."""
        yield from ENCODERS[self.kind].rules(self)


ENCODERS.keys_of(VisionSpec)
