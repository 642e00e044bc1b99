"""How long a run trains, what of it is kept, measured and refused: the `early_stopping`, `ema`,
`gradient_conflicts` and `faults` keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from unified_vl.specs.reading.document import Part, Steps, Weight


class EarlyStoppingSpec(Part):
    """When a run ends before its last step, because it no longer gets better."""

    patience: Annotated[int, Field(ge=1, le=10**6)] = Field(
        description="Measurements in a row without a gain after which the run ends.", examples=[5]
    )
    min_delta: Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)] = Field(
        default=0.0,
        description="What a value has to be better by than the best so far to be a gain.",
        examples=[0.1],
    )
    metric: Literal["loss", "score"] | None = Field(
        default=None,
        description="The mean of all tasks' validation losses, or of their scores (lower is "
        "better counted negative); scores where there are some, unless given.",
        examples=["score"],
    )


class EmaSpec(Part):
    """An exponential running mean of the weights."""

    decay: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.999,
        description="How much of the mean each update leaves; of the first updates less, "
        "(1 + n) / (10 + n) of the nth.",
        examples=[0.9999],
    )


class GradientConflictsSpec(Part):
    """How much the tasks pull in the same direction, which is measured and changes nothing."""

    every: Steps = Field(
        description="Steps between two measurements; each costs about an update of every task.",
        examples=[500],
    )


class FaultSpec(Part):
    """What becomes of gradients that are no number, or far larger than the last ones."""

    policy: Literal["skip", "abort"] = Field(
        default="skip",
        description="Skip such an update, or end the training; both leave the weights untouched.",
        examples=["abort"],
    )
    sigmas: Weight = Field(
        default=6.0,
        description="Standard deviations above the mean at which a gradient's norm is a spike.",
        examples=[6.0],
    )
    window: int = Field(
        default=128,
        ge=2,
        le=1 << 20,
        description="Norms of each task that mean and deviation are taken of.",
        examples=[128],
    )
    limit: int = Field(
        default=16,
        ge=0,
        le=10**12,
        description="Most updates skipped among the last `window` steps, before training ends.",
        examples=[16],
    )
