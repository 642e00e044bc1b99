"""The keys of a run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from unified_vl.specs.mixture import Mixture
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.specs.reading.document import Name, Rows, Steps, Version, WeightPattern
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.runs.course import (
    EarlyStoppingSpec,
    EmaSpec,
    FaultSpec,
    GradientConflictsSpec,
)
from unified_vl.specs.runs.lora import LoraSpec
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.runs.teacher import TeacherSpec
from unified_vl.specs.spec import FileOrMade, Spec
from unified_vl.specs.written import MIXTURE

Tokens = Annotated[int, Field(ge=2, le=1 << 20)]
Batch = Annotated[int, Field(ge=1, le=1 << 20)]


class RunKeys(Spec):
    """What a run file says, key by key; `Run` is what follows from it."""

    run: Name = Field(description="Name of the run.", examples=["photos"])
    version: Version = Field(
        description="Raise it when the run would give another model.", examples=[1]
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=1 << 63,
        description="Decides everything that is random.",
        examples=[0],
    )
    mixture: Annotated[Path | Mixture, FileOrMade(Path, "Mixture", MIXTURE)] = Field(
        description="The mixture file, relative to this file.", examples=["../mixtures/photos.yaml"]
    )
    data: Path = Field(
        description="The data root, relative to this file, or a URL.", examples=["../../data"]
    )
    tokenizer: Path = Field(
        description="The tokenizer's directory, relative to this file.",
        examples=["../../tokenizers/text/photos"],
    )
    output: Path = Field(
        description="Where the run writes, relative to this file.",
        examples=["../../runs/photos"],
    )
    steps: Steps | None = Field(
        default=None, description="Optimiser steps; or else `epochs`.", examples=[20000]
    )
    epochs: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        default=None,
        description="How long it trains, in place of `steps`: until every task has drawn all of "
        "its training rows so often.",
        examples=[3],
    )
    batch_size: Batch | None = Field(
        default=None,
        description="Examples of a step, over all ranks; or else `batch_tokens`.",
        examples=[256],
    )
    batch_tokens: Annotated[int, Field(ge=2, le=1 << 40)] | None = Field(
        default=None,
        description="In place of `batch_size`: most ids of sources and targets of a step, over all "
        "ranks; a step then has few long examples or many short ones.",
        examples=[32768],
    )
    accumulate: Batch = Field(
        default=1,
        description="Parts in which each rank computes its share of a batch, one after the other, "
        "to save memory. A contrastive loss compares within a part.",
        examples=[4],
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1,
        description="Threads of each rank that read rows and decode images, shared by all tasks.",
        examples=[4],
    )
    packing: bool = Field(
        default=False,
        description="Whether training and validation compute tokens alone, without padding: the "
        "same batches and gradients in less time. Not for backbones of `transformers`.",
        examples=[True],
    )
    compile: bool = Field(
        default=False,
        description="Whether the blocks of encoder and decoder learn by compiled programs, made "
        "before the first step and kept for later starts: the same batches and gradients in less "
        "time. Needs a C++ compiler. Not for backbones of `transformers`, nor at ZeRO 3.",
        examples=[True],
    )
    activation_checkpointing: bool = Field(
        default=False,
        description="Whether the blocks of encoder and decoder keep their inputs alone and compute "
        "the rest again in the backward pass: less memory, more time, the same gradients.",
        examples=[True],
    )
    model: ModelSpec = Field(
        default_factory=ModelSpec,
        description="Sizes and choices of the model.",
        examples=[{"d_model": 512, "num_layers": 6, "num_heads": 8}],
    )
    optimizer: OptimizerSpec = Field(
        default_factory=OptimizerSpec,
        description="The optimiser and its learning rate.",
        examples=[{"lr": 0.0005, "warmup_steps": 1000, "decay": "cosine"}],
    )
    continuation: Literal["replan", "rewarm", "cooldown", "constant"] | None = Field(
        default=None,
        description="What the learning rate does when a resume finds another number of steps: "
        "what it would if that had been planned from the beginning; increase and decay anew; "
        "decay to zero from what it is; or stay as it is. Unless given it is `replan`, and refused "
        "where the rate would rise.",
        examples=["rewarm"],
    )
    freeze: tuple[WeightPattern, ...] = Field(
        default=(),
        description="Patterns of weights that stay as they are; `unified-vl weights RUN` lists "
        "the names of all.",
        examples=[["encoder.vision.*"]],
    )
    lora: LoraSpec | None = Field(
        default=None,
        description="Train low-rank adapters, and leave all other weights as they are.",
        examples=[{"rank": 16, "alpha": 32.0}],
    )
    teacher: TeacherSpec | None = Field(
        default=None,
        description="A trained model whose answers, hidden states or attention are learnt beside "
        "the targets, such as a larger one; none unless given (docs/compress.md).",
        examples=[{"model": "../../runs/large/model", "logits": 1.0}],
    )
    clip: Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)] | None = Field(
        default=1.0,
        description="Largest norm of the gradient; null leaves it as it is.",
        examples=[1.0],
    )
    augment: tuple[AugmentSpec, ...] = Field(
        default=(),
        description="What training does to pictures, in this order; boxes, points and polygons "
        "move along. Nothing unless given, and never in validation, evaluation or prediction "
        "(docs/augmentation.md).",
        examples=[[{"name": "color_jitter", "hue": 0.1}, {"name": "resized_crop"}]],
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Label smoothing of the loss.",
        examples=[0.1],
    )
    z_loss: float = Field(
        default=0.0,
        ge=0,
        le=1e3,
        allow_inf_nan=False,
        description="Weight of the squared logarithm of the softmax's normalizer, which keeps "
        "logits from drifting (arXiv 2204.02311).",
        examples=[0.0001],
    )
    engine: Path | None = Field(
        default=None,
        description="DeepSpeed's JSON (ZeRO, offload, precision), relative to this file; ZeRO 0 "
        "in fp32 unless given.",
        examples=["../../deepspeed_configs/zero1_bf16.json"],
    )
    max_source_tokens: Tokens = Field(
        default=256, description="Longest source, in tokens.", examples=[256]
    )
    max_target_tokens: Tokens = Field(
        default=128, description="Longest target, in tokens.", examples=[128]
    )
    log_every: Steps = Field(default=20, description="Steps between two log lines.", examples=[20])
    validate_every: Steps = Field(
        default=500, description="Steps between two validations.", examples=[500]
    )
    validation_rows: int = Field(
        default=128,
        ge=0,
        le=10**15,
        description="Rows of each task in a validation; 0 does without.",
        examples=[512],
    )
    score_every: int = Field(
        default=0,
        ge=0,
        le=10**12,
        description="Steps between two scorings of each task by its primary metric; 0 does "
        "without. Stop-and-go goes by these scores.",
        examples=[1000],
    )
    score_rows: Rows = Field(
        default=256,
        description="Validation rows of each task that a scoring answers.",
        examples=[256],
    )
    peak_tflops: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        default=None,
        description="What one device can compute at most, in TFLOP/s, of which the record says the "
        "share that the model used (`mfu`); of some GPUs it is known, otherwise nothing is said.",
        examples=[989.0],
    )
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(),
        description="Where the run record is shown beside events.jsonl.",
        examples=[["tensorboard"]],
    )
    checkpoint_every: Steps = Field(
        default=500, description="Steps between two checkpoints.", examples=[500]
    )
    keep_checkpoints: Annotated[int, Field(ge=1, le=10**6)] = Field(
        default=2, description="Checkpoints that are kept.", examples=[3]
    )
    keep_best: bool = Field(
        default=True,
        description="Whether the best checkpoint is kept too, by the mean of all tasks' scores or, "
        "without scores, validation losses; its model is OUTPUT/best_model.",
        examples=[True],
    )
    early_stopping: EarlyStoppingSpec | None = Field(
        default=None,
        description="When the run ends before its last step; it goes on to the end unless given.",
        examples=[{"patience": 5}],
    )
    ema: EmaSpec | None = Field(
        default=None,
        description="A running mean of the weights, which then is what is validated, scored and "
        "saved as a model; none unless given.",
        examples=[{"decay": 0.999}],
    )
    momentum_decay: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.995,
        description="How much of the momentum copy of the weights each update leaves; one is kept "
        "where an objective of a task reads it (docs/objectives.md).",
        examples=[0.999],
    )
    gradient_conflicts: GradientConflictsSpec | None = Field(
        default=None,
        description="How often the gradient of each task alone is measured: its norm, and its "
        "cosine with that of every other task, of the whole model and of each layer; never unless "
        "given. ZeRO 0 to 2.",
        examples=[{"every": 500}],
    )
    faults: FaultSpec = Field(
        default_factory=FaultSpec,
        description="What is done about bad gradients.",
        examples=[{"policy": "abort"}],
    )
    hang_timeout: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)] = Field(
        default=900.0,
        description="Seconds without progress after which the job ends; longer than any "
        "validation or checkpoint.",
        examples=[1800.0],
    )
