"""The sizes and choices of a model: the `model` section of a run file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.parts import FOLLOWERS
from unified_vl.specs.reading.document import Part, Problem, refuse
from unified_vl.specs.runs.vision import ENCODERS, RANDOM, Side, VisionSpec, Width

MOST_LAYERS = 512

Depth = Annotated[int, Field(ge=1, le=MOST_LAYERS)]


class EncoderSpec(Part):
    """How the encoder's layers read text and images."""

    kind: Literal["joint", "two_streams"] = Field(
        default="joint",
        description="All tokens together, or text and images in streams of their own that meet in "
        "cross-modal layers (ViLBERT, LXMERT).",
        examples=["two_streams"],
    )
    cross_layers: Depth | None = Field(
        default=None,
        description="two_streams: the last layers of `num_layers`, in which each stream reads "
        "itself and the other; half of them unless given.",
        examples=[2],
    )

    def problems(self, layers: int) -> Iterator[Problem]:
        """What is wrong with it in an encoder of so many layers."""
        if self.cross_layers is None:
            return
        if self.kind == "joint":
            said = "all layers of a joint encoder are cross-modal"
            yield Problem(("cross_layers",), said, expected="kind: two_streams, or no such key")
        elif self.cross_layers > layers:
            expected = f"at most {layers}, all that there are (num_layers)"
            yield Problem(("cross_layers",), f"found {self.cross_layers}", expected=expected)


class Architecture(Part):
    """Sizes and choices of the encoder-decoder; what the tokenizer decides is not here."""

    d_model: Width = Field(default=512, description="Width of the model.", examples=[512])
    d_kv: Width = Field(default=64, description="Width of a head.", examples=[64])
    d_ff: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=1024, description="Width of the feed-forward layer.", examples=[1024]
    )
    num_layers: Depth = Field(default=8, description="Blocks of the encoder.", examples=[8])
    encoder: EncoderSpec = Field(
        default_factory=EncoderSpec,
        description="How the encoder's layers read text and images.",
        examples=[{"kind": "two_streams", "cross_layers": 2}],
    )
    num_decoder_layers: Depth | None = Field(
        default=None,
        description="Blocks of the decoder; those of the encoder unless given.",
        examples=[8],
    )
    num_heads: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=6, description="Heads of every attention.", examples=[8]
    )
    activation: Literal["gelu_new", "gelu", "silu", "relu"] = Field(
        default="gelu_new",
        description="Of the feed-forward layer, or of its gate: GELU in its tanh form (T5 v1.1, "
        "mT5, umT5) or exact, SiLU (UL2, Flan-UL2) or ReLU (T5 v1.0, without a gate).",
        examples=["silu"],
    )
    gated: bool = Field(
        default=True,
        description="Whether the feed-forward layer has a gate (T5 v1.1 and its kin); T5 v1.0 has "
        "none.",
        examples=[False],
    )
    relative_attention_num_buckets: Annotated[int, Field(ge=4, le=4096, multiple_of=2)] = Field(
        default=32, description="Buckets of T5's relative positions.", examples=[32]
    )
    relative_attention_max_distance: Annotated[int, Field(ge=3, le=1 << 20)] = Field(
        default=128,
        description="Distance in tokens from which on all share a bucket; more than half of the "
        "buckets.",
        examples=[128],
    )
    bias_per_layer: bool = Field(
        default=False,
        description="Whether every layer has position biases of its own (umT5), not only the "
        "first (T5, mT5).",
        examples=[True],
    )
    dropout_rate: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.0, description="Dropout, everywhere.", examples=[0.1]
    )
    layer_norm_epsilon: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=1e-6, description="Added to the mean square in every norm.", examples=[1e-06]
    )
    scale_attention: bool = Field(
        default=True,
        description="Whether scores are divided by the square root of `d_kv`. T5 folds this into "
        "small initial queries, which suits Adafactor and not Adam.",
        examples=[False],
    )
    scale_decoder_output: bool = Field(
        default=False,
        description="Whether the decoder's output is multiplied by d_model ** -0.5 before the "
        "head, as in T5 with a tied head.",
        examples=[True],
    )
    tie_word_embeddings: bool = Field(
        default=False, description="Whether the head is the embedding.", examples=[True]
    )
    region_features: Annotated[int, Field(ge=1, le=1 << 16)] | None = Field(
        default=None,
        description="How many numbers the feature of a region has, where tasks have fields of kind "
        "`regions`.",
        examples=[2048],
    )
    region_classes: Annotated[int, Field(ge=1, le=1 << 20)] | None = Field(
        default=None,
        description="How many classes the detector of the regions has, where the model shall read "
        "them; unless given it reads features and boxes alone.",
        examples=[1601],
    )
    region_attributes: Annotated[int, Field(ge=1, le=1 << 20)] | None = Field(
        default=None,
        description="How many attributes the detector of the regions has (red, wooden), where the "
        "model shall read them.",
        examples=[401],
    )
    code_image_size: tuple[Side, Side] | None = Field(
        default=None,
        description="Height and width in pixels of images in codes; that of `vision` unless given.",
        examples=[[64, 64]],
    )
    vision: VisionSpec = Field(
        default_factory=VisionSpec,
        description="How an image becomes a grid of features.",
        examples=[{"kind": "stem", "image_size": [224, 224], "patch_size": 16}],
    )

    @model_validator(mode="after")
    def _obey_rules(self) -> Architecture:
        refuse(self.problems())
        return self

    def problems(self, *place: str) -> Iterator[Problem]:
        """What is wrong with it beyond the types of its keys, where it stands at `place`."""
        exact = self.relative_attention_num_buckets // 2
        if self.relative_attention_max_distance <= exact:
            key = "relative_attention_max_distance"
            found = f"{self.relative_attention_max_distance} for "
            found += f"{self.relative_attention_num_buckets} buckets"
            yield Problem((*place, key), found, expected=f"more than {exact}, half of the buckets")
        for key in ("region_classes", "region_attributes"):
            if getattr(self, key) is not None and self.region_features is None:
                found = "says nothing without `region_features`"
                yield Problem((*place, key), found, expected="region_features")
        for problem in self.encoder.problems(self.num_layers):
            yield replace(problem, path=(*place, "encoder", *problem.path))
        for problem in self.vision.problems():
            yield replace(problem, path=(*place, "vision", *problem.path))


class StartKeys(Part):
    """Where the weights are from."""

    from_: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        alias="from",
        description="What the training starts from instead of random weights, and what decides "
        "all that this section does not say: a saved model, a run's output or a checkpoint, "
        "relative to this file, or a model of the Hugging Face hub.",
        examples=["../../runs/demo/model"],
    )


class ModelSpec(Architecture, StartKeys):
    """The model of a run: what it starts from, and its sizes and choices."""

    @model_validator(mode="after")
    def _obey_rules(self) -> ModelSpec:
        if self.from_ is None:  # else what is not given is not yet known
            refuse(self.problems())
            reads = "freeze" in ENCODERS[self.vision.kind].reads
            if reads and self.vision.freeze and self.vision.weights == RANDOM:
                said = "a backbone that starts at random would never learn"
                refuse([Problem(("vision", "freeze"), said, "`weights` beside it")])
        return self


FOLLOWERS.append(partial(Architecture.model_rebuild, force=True))
FOLLOWERS.append(partial(ModelSpec.model_rebuild, force=True))
