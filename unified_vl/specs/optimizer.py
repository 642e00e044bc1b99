"""The optimiser and its learning rate: the `optimizer` keys of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unified_vl.specs.reading.document import OneOf, Part, Weight, WeightPattern, refuse
from unified_vl.specs.variants import Variant, Variants

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class AdamWKeys(Part):
    """Of AdamW."""

    betas: tuple[Decay, Decay] = Field(
        default=(0.9, 0.98),
        description="Decay of the two running means of AdamW.",
        examples=[[0.9, 0.98]],
    )
    eps: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=1e-8, description="Added to the denominator of AdamW.", examples=[1e-08]
    )


class RmsScaledKeys(Part):
    """Of optimisers that go by the root mean square of a parameter."""

    rms_floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=1e-3,
        description="What a parameter's root mean square counts at least, where updates are in "
        "proportion to it.",
        examples=[0.001],
    )


class AdafactorKeys(RmsScaledKeys):
    """Of Adafactor."""

    scale_parameter: bool = Field(
        default=True,
        description="adafactor: updates are in proportion to the parameter's root mean square.",
        examples=[False],
    )
    clip_threshold: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        default=1.0, description="adafactor: largest root mean square of an update.", examples=[1.0]
    )
    decay_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.8,
        description="adafactor: of step t the newest squared gradient has the share "
        "t to the power of minus this in their mean.",
        examples=[0.8],
    )


class AdamWRmsScaledKeys(AdamWKeys, RmsScaledKeys):
    """Of AdamW with updates in proportion to the parameter's root mean square."""


@dataclass(frozen=True)
class OptimizerVariant(Variant):
    """An optimiser that a spec may name.

    Attributes:
        whole: whether it needs every parameter whole, and not flattened as ZeRO does.
    """

    whole: bool = False


OPTIMIZERS = Variants(
    "an optimiser",
    OptimizerVariant("adamw", AdamWKeys),
    OptimizerVariant("adafactor", AdafactorKeys, whole=True),
    OptimizerVariant("adamw_rms_scaled", AdamWRmsScaledKeys, whole=True),
)


class GeneralOptimizerKeys(Part):
    """Of all optimisers."""

    name: Annotated[str, OneOf(lambda: OPTIMIZERS)] = Field(
        default="adamw", description="The optimiser.", examples=["adamw"]
    )
    lr: Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)] = Field(
        default=1e-3, description="The highest learning rate.", examples=[0.0005]
    )
    vision_lr_scale: Weight = Field(
        default=1.0,
        description="What the learning rate of the image branch is multiplied by.",
        examples=[3.0],
    )
    embedding_lr_scale: Weight = Field(
        default=1.0,
        description="What the learning rate of the embeddings is multiplied by: they start at "
        "unit scale, ten times that of a matrix.",
        examples=[3.0],
    )
    lr_scales: dict[WeightPattern, Weight] = Field(
        default_factory=dict,
        description="What the learning rate of the weights that a pattern matches is multiplied "
        "by, in place of the two above; of several patterns that match, the last counts.",
        examples=[{"encoder.*": 0.3, "encoder.vision.*": 0.1}],
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Decoupled weight decay.",
        examples=[0.01],
    )
    warmup_steps: int = Field(
        default=0,
        ge=0,
        le=10**12,
        description="Steps in which the learning rate increases from zero (warm-up).",
        examples=[1000],
    )
    decay: Literal["linear", "cosine", "constant"] = Field(
        default="linear",
        description="How the learning rate decays to zero at the last step.",
        examples=["cosine"],
    )
    decay_from: Fraction = Field(
        default=0.5, description="The fraction of all steps after which it decays.", examples=[0.2]
    )


class OptimizerSpec(AdamWRmsScaledKeys, AdafactorKeys, GeneralOptimizerKeys):
    """The optimiser and its learning rate over time."""

    @model_validator(mode="after")
    def _obey_rules(self) -> OptimizerSpec:
        refuse(OPTIMIZERS[self.name].rules(self))
        return self


OPTIMIZERS.keys_of(OptimizerSpec)
