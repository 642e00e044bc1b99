"""Low-rank adapters: the `lora` keys of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from unified_vl.specs.reading.document import Part, WeightPattern

Rank = Annotated[int, Field(ge=1, le=1 << 14)]
Alpha = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class LoraSpec(Part):
    """Low-rank adapters (LoRA, arXiv 2106.09685): small matrices that are trained beside matrices
    that stay as they are."""

    rank: Rank = Field(
        default=16,
        description="Rows of an adapter's first matrix and columns of its second.",
        examples=[16],
    )
    alpha: Alpha = Field(
        default=32.0,
        description="The product of both matrices counts `alpha / rank` times.",
        examples=[32.0],
    )
    targets: Annotated[tuple[WeightPattern, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="Patterns of the linear layers that get an adapter; unless given, all of "
        "attention: query, key, value and output.",
        examples=[["*.attend_self.qkv", "*.attend_cross.*"]],
    )
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.0, description="Dropout in front of each adapter.", examples=[0.05]
    )
    also_train: tuple[WeightPattern, ...] = Field(
        default=(),
        description="Patterns of weights that are trained whole, beside the adapters.",
        examples=[["encoder.embedding.weight", "lm_head.weight"]],
    )
    save: Literal["merged", "adapter"] = Field(
        default="merged",
        description="Saved models are whole, with the adapters merged; or they are the adapters "
        "alone, and say which model they belong to.",
        examples=["adapter"],
    )
