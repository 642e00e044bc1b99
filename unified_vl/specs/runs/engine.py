"""DeepSpeed's JSON: what of it a run may set, and what it may not ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.specs.reading.document import Document, Part, Problem, refuse
from unified_vl.specs.reading.parse import Parsed, json_origin, validate
from unified_vl.specs.runs.engine_rules import engine_problems

DEFAULT: dict[str, Any] = {"zero_optimization": {"stage": 0}}  # of a run without an engine file
AUTO = "auto"  # the Trainer of transformers fills it in; nothing here does
WRITTEN_IN_THE_RUN = {
    "train_batch_size": "batch_size",
    "train_micro_batch_size_per_gpu": "batch_size and accumulate",
    "gradient_accumulation_steps": "accumulate",
    "gradient_clipping": "clip",
    "optimizer": "optimizer",
    "scheduler": "optimizer",
    "steps_per_print": "log_every",
    "tensorboard": "trackers",
    "wandb": "trackers",
}


def _whole(value: object) -> object:
    """5e8, as DeepSpeed's documentation writes it, is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Elements = Annotated[int, Field(ge=1, le=1 << 62), BeforeValidator(_whole)]
Threshold = Annotated[int, Field(ge=0, lt=1 << 63), BeforeValidator(_whole)]


class OffloadOptimizerSpec(Part):
    """Where the optimiser's state lies."""

    device: Literal["none", "cpu"] = Field(
        default="none", description="`cpu` moves it off the GPU.", examples=["cpu"]
    )
    pin_memory: bool = Field(
        default=True, description="Page-locked memory: faster copies.", examples=[True]
    )


class OffloadParamSpec(OffloadOptimizerSpec):
    """Where the parameters lie while they are not computed with (stage 3)."""


class ZeroSpec(Part):
    """ZeRO: what is sharded over the ranks, and how much is sent at once."""

    stage: int = Field(
        default=0,
        ge=0,
        le=3,
        description="Shards nothing, the optimiser's state, gradients too, or parameters too.",
        examples=[2],
    )
    contiguous_gradients: bool = Field(
        default=True, description="Gradients are copied to one buffer.", examples=[True]
    )
    reduce_scatter: bool = Field(
        default=True, description="Gradients are reduced to their owner only.", examples=[True]
    )
    reduce_bucket_size: Elements = Field(
        default=500_000_000, description="Elements reduced at once.", examples=[50000000]
    )
    allgather_partitions: bool = Field(
        default=True, description="Parameters are gathered, not broadcast.", examples=[True]
    )
    allgather_bucket_size: Annotated[Elements, Field(multiple_of=2)] = Field(
        default=500_000_000, description="Elements gathered at once.", examples=[50000000]
    )
    overlap_comm: bool | None = Field(
        default=None,
        description="Whether gradients are reduced during the backward pass; stage 3 alone does "
        "unless given.",
        examples=[True],
    )
    compute_grad_norm: bool = Field(
        default=True, description="Needed: updates are clipped and refused by it.", examples=[True]
    )
    round_robin_gradients: bool = Field(
        default=False, description="Spreads copies to the CPU over ranks.", examples=[True]
    )
    ignore_unused_parameters: bool = Field(
        default=True, description="Stage 2: parameters without gradients pass.", examples=[True]
    )
    offload_optimizer: OffloadOptimizerSpec | None = Field(
        default=None,
        description="Stages 1 to 3: where the optimiser's state lies.",
        examples=[{"device": "cpu"}],
    )
    offload_param: OffloadParamSpec | None = Field(
        default=None, description="Stage 3: where parameters lie.", examples=[{"device": "cpu"}]
    )
    sub_group_size: Elements = Field(
        default=1_000_000_000, description="Stage 3: elements updated at once.", examples=[1000000]
    )
    stage3_prefetch_bucket_size: Threshold = Field(
        default=50_000_000, description="Elements fetched ahead.", examples=[50000000]
    )
    stage3_param_persistence_threshold: Threshold = Field(
        default=100_000, description="Smaller parameters are not sharded.", examples=[100000]
    )
    stage3_model_persistence_threshold: Threshold = Field(
        default=(1 << 63) - 1,
        description="Most elements that are not sharded, in all.",
        examples=[1000000],
    )
    stage3_max_live_parameters: Threshold = Field(
        default=1_000_000_000, description="Most elements held at once.", examples=[1000000000]
    )
    stage3_max_reuse_distance: Threshold = Field(
        default=1_000_000_000, description="Elements until a reuse.", examples=[1000000000]
    )
    stage3_gather_16bit_weights_on_model_save: bool = Field(
        default=False, description="Changes nothing: models are saved whole.", examples=[False]
    )


class Bf16Spec(Part):
    """Computing in bfloat16, with masters in float32."""

    enabled: bool = Field(default=False, description="Whether it is on.", examples=[True])
    check_grad_overflow: bool = Field(
        default=True,
        description="Skip updates whose gradients are no number; those are refused anyway.",
        examples=[True],
    )


class Fp16Spec(Part):
    """Computing in half precision on a GPU, with masters in float32 and a scaled loss (arXiv
    1710.03740)."""

    enabled: bool = Field(default=False, description="Whether it is on.", examples=[True])
    loss_scale: float = Field(
        default=0.0,
        ge=0,
        le=1e30,
        allow_inf_nan=False,
        description="What the loss is multiplied by; 0 finds it while it trains (dynamic).",
        examples=[1024.0],
    )
    initial_scale_power: int = Field(
        default=16,
        ge=0,
        le=64,
        description="Dynamic: it starts at 2 to the power of this.",
        examples=[12],
    )
    loss_scale_window: Elements = Field(
        default=1000,
        description="Dynamic: steps without an overflow until it is doubled.",
        examples=[500],
    )
    hysteresis: Elements = Field(
        default=2, description="Dynamic: overflows until it is halved.", examples=[1]
    )
    consecutive_hysteresis: bool = Field(
        default=False,
        description="Dynamic: whether a step without an overflow begins their count anew.",
        examples=[True],
    )
    min_loss_scale: float = Field(
        default=1.0,
        gt=0,
        le=1e30,
        allow_inf_nan=False,
        description="Dynamic: an overflow at this scale ends the training.",
        examples=[1.0],
    )


class DataTypesSpec(Part):
    """Types of what is accumulated."""

    grad_accum_dtype: Literal["fp32", "bf16"] | None = Field(
        default=None,
        description="Type that gradients are added up in; that of the weights unless given.",
        examples=["fp32"],
    )


class EngineSpec(Document):
    """The part of DeepSpeed's JSON that says how memory and precision are spent."""

    zero_optimization: ZeroSpec = Field(
        default_factory=ZeroSpec, description="What is sharded.", examples=[{"stage": 1}]
    )
    bf16: Bf16Spec = Field(
        default_factory=Bf16Spec,
        description="Computing in bfloat16; fp32 unless enabled.",
        examples=[{"enabled": True}],
    )
    fp16: Fp16Spec = Field(
        default_factory=Fp16Spec,
        description="Computing in half precision where the device does; ZeRO 1 to 3.",
        examples=[{"enabled": True}],
    )
    data_types: DataTypesSpec = Field(
        default_factory=DataTypesSpec,
        description="Types of what is accumulated.",
        examples=[{"grad_accum_dtype": "fp32"}],
    )
    communication_data_type: Literal["fp32", "fp16", "bf16"] | None = Field(
        default=None,
        description="Type that gradients are sent in; that of the weights unless given.",
        examples=["fp32"],
    )

    _written: dict[str, Any] = PrivateAttr(default_factory=lambda: {**DEFAULT})

    @model_validator(mode="after")
    def _obey_rules(self) -> EngineSpec:
        refuse(engine_problems(self))
        return self

    @property
    def written(self) -> dict[str, Any]:
        """The file as it is, for DeepSpeed."""
        return self._written

    @property
    def stage(self) -> int:
        """Of ZeRO."""
        return self.zero_optimization.stage

    @property
    def halves(self) -> bool:
        """Whether the model computes in 16 bits."""
        return self.bf16.enabled or self.fp16.enabled

    @classmethod
    def explain(cls, problem: Problem, found: object) -> Problem:
        """What is wrong with DeepSpeed keys that are right elsewhere."""
        *above, key = problem.path or ("",)
        if found == AUTO:
            what = f"nothing fills {AUTO!r} in: that is done by the Trainer of transformers"
            return Problem(problem.path, what, problem.expected)
        if not above and key in WRITTEN_IN_THE_RUN:
            what = f"the run file says this: {WRITTEN_IN_THE_RUN[str(key)]}"
            return Problem(problem.path, what, expected=f"no {key} here")
        if not above and key == "amp":
            return Problem(
                problem.path, "is not supported", expected="bf16 or fp16: {enabled: true}, or fp32"
            )
        if found == "nvme":
            return Problem(problem.path, "checkpoints do not hold what lies on NVMe", "cpu or none")
        return problem


def read_engine(path: Path | None) -> EngineSpec:
    """The DeepSpeed JSON of a run, which may say how memory and precision are spent.

    Batch size, accumulation, clipping, optimiser and schedule are the run file's, so
    that they cannot be said twice.

    Args:
        path: the file; None for ZeRO 0 in fp32.

    Raises:
        UserError: when the file is missing, is not JSON, has any other key, leaves a value to be
            filled in, or asks for what would make gradients unknown or checkpoints incomplete.
    """
    if path is None:
        return EngineSpec()
    if not path.is_file():
        raise UserError("there is no such file", file=path, expected="a DeepSpeed JSON")
    config = read_json_object(path)
    engine = validate(EngineSpec, Parsed({**config}, json_origin(path)))
    engine._written = config
    return engine
