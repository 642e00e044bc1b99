"""How an image becomes a grid of features: the `vision` keys of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from unified_vl.parts import WordOr
from unified_vl.specs.reading.document import OneOf, Part, Problem, one_of
from unified_vl.specs.variants import Variant, Variants

CHANNELS_OF_A_GROUP = 16
RANDOM = "random"
PRETRAINED = "pretrained"
# of `encoder.vision`; of `vision` where `transformers` computes the model
BACKBONE_WEIGHTS = "*vision.features.backbone.*"
OF_TRAINING = ("weights", "freeze")  # keys that a saved model does not keep
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


Channel = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class ColourScale(Part):
    """What the colours of an image are brought to: (colour - mean) / std, colours from 0 to 1."""

    mean: tuple[Channel, Channel, Channel] = Field(
        description="Mean of red, green and blue, from 0 to 1.", examples=[[0.485, 0.456, 0.406]]
    )
    std: tuple[Spread, Spread, Spread] = Field(
        description="Their standard deviations.", examples=[[0.229, 0.224, 0.225]]
    )


class TimmKeys(Part):
    """Of backbones of `timm`."""

    backbone: str = Field(
        default="resnet18",
        min_length=1,
        description="timm: name of the backbone.",
        examples=["convnext_tiny"],
    )
    weights: str = Field(
        default=RANDOM,
        min_length=1,
        description="timm: what the backbone starts from: `random`, `pretrained` (the weights that "
        "timm names for it, from the Hugging Face hub), or a safetensors file, or a folder of "
        "`config.json` and `model.safetensors`, relative to this file.",
        examples=["pretrained", "../weights/resnet18.safetensors"],
    )
    freeze: bool = Field(
        default=False,
        description="timm: whether the backbone stays as it starts: its weights are not trained "
        "and its batch norms keep their statistics. The projection behind it is trained.",
        examples=[True],
    )
    normalize: (
        Annotated[
            Literal["backbone", "none"] | ColourScale, WordOr(ColourScale, ("backbone", "none"))
        ]
        | None
    ) = Field(
        default=None,
        description="timm: the scale of the colours that the backbone reads: that which it was "
        "trained with (`backbone`), -1 to 1 (`none`), or `mean` and `std`. `backbone` unless given "
        "where it starts from weights, and `none` where it starts at random.",
        examples=["backbone", {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}],
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


class PoolSpec(Part):
    """How many tokens are left of an image."""

    kind: Literal["average", "resampler"] = Field(
        description="Means over a smaller grid, or learned queries that attend to the features "
        "(the Perceiver resampler of Flamingo).",
        examples=["average"],
    )
    grid: tuple[Side, Side] | None = Field(
        default=None,
        description="average: rows and columns that are left, one token each.",
        examples=[[4, 4]],
    )
    tokens: Annotated[int, Field(ge=1, le=1 << 13)] | None = Field(
        default=None, description="resampler: how many queries, one token each.", examples=[64]
    )
    layers: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2,
        description="resampler: how often the queries read the features and each other.",
        examples=[6],
    )

    @model_serializer(mode="wrap")
    def _with_its_own_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What its kind reads: a saved model is read by the rules that run files are."""
        read = ("kind", *POOL_KEYS[self.kind])
        return {key: value for key, value in write(self).items() if key in read}


def _pooled(pool: PoolSpec) -> Iterator[Problem]:
    own = POOL_KEYS[pool.kind]
    if getattr(pool, own[0]) is None:
        yield Problem(("pool", own[0]), "is missing", POOL_EXAMPLES[pool.kind])
    for key in sorted(pool.model_fields_set - {"kind", *own}):
        said = f"pooling of kind {pool.kind!r} does not read this"
        yield Problem(("pool", key), said, one_of(own, "and"))


def _packed(vision: VisionSpec) -> Iterator[Problem]:
    """Grids differ from image to image: convolutions and pooling would mix what is not beside."""
    if vision.kind != "patches":
        said = f"an image encoder of kind {vision.kind!r} reads images of one size"
        yield Problem(("fit",), said, "stretch or pad, or `kind: patches`")
    elif vision.pool is not None:
        yield Problem(("pool",), "`fit: pack` leaves each image all of its squares", "no `pool`")


POOL_KEYS = {"average": ("grid",), "resampler": ("tokens", "layers")}  # the first is needed
POOL_EXAMPLES = {"average": "rows and columns, such as [4, 4]", "resampler": "a number such as 64"}


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
    fit: Literal["stretch", "pad", "pack"] = Field(
        default="stretch",
        description="How an image of other proportions is brought to `image_size`: stretched; or "
        "whole, with its own proportions, between bars of grey; or (`pack`, of `patches` alone) "
        "whole, in a grid of its own with at most as many squares. Places are those of the image "
        "in any case.",
        examples=["pad"],
    )
    pool: PoolSpec | None = Field(
        default=None,
        description="Fewer tokens of an image than it has features; one for each unless given.",
        examples=[{"kind": "average", "grid": [4, 4]}, {"kind": "resampler", "tokens": 64}],
    )


class VisionSpec(TimmKeys, StemKeys, GeneralVisionKeys):
    """How an image becomes a grid of features."""

    @property
    def frozen(self) -> tuple[str, ...]:
        """Patterns of the weights that `freeze` keeps as they start."""
        return (BACKBONE_WEIGHTS,) if self.freeze else ()

    def problems(self) -> Iterator[Problem]:
        """What is wrong with it beyond the types of its keys; the model that it is of asks."""
        yield from ENCODERS[self.kind].rules(self)
        if self.fit == "pack":
            yield from _packed(self)
        if self.pool is not None:
            yield from _pooled(self.pool)


ENCODERS.keys_of(VisionSpec)
