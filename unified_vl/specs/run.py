"""A run: model, optimiser, engine, seed and paths of one training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from unified_vl.errors import nearest
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.mixture import Mixture, load_mixture
from unified_vl.specs.optimizer import OPTIMIZERS, OptimizerSpec
from unified_vl.specs.reading.document import (
    Name,
    Origin,
    Part,
    Problem,
    Rows,
    Steps,
    Version,
    Weight,
    WeightPattern,
    refuse,
)
from unified_vl.specs.reading.parse import missing_file
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.runs.augment_rules import refuse_idle_augment
from unified_vl.specs.runs.course import EarlyStoppingSpec, EmaSpec, GradientConflictsSpec
from unified_vl.specs.runs.course_rules import refuse_unfit_course
from unified_vl.specs.runs.engine import read_engine
from unified_vl.specs.runs.lora import LoraSpec
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.runs.run_paths import refuse_old_paths
from unified_vl.specs.runs.teacher import TeacherSpec, teacher_problems
from unified_vl.specs.runs.vision import ENCODERS
from unified_vl.specs.spec import FileOrMade, Spec
from unified_vl.specs.written import MIXTURE

Tokens = Annotated[int, Field(ge=2, le=1 << 20)]
Batch = Annotated[int, Field(ge=1, le=1 << 20)]
DECIDED_ELSEWHERE = (  # keys of a saved model's configuration that are no run's to set
    "vocab_size",
    "image_token_id",
    "frame_token_ids",
    "matching_head",
    "regions_token_id",
    "region_token_ids",
    "region_heads",
    "location_token_ids",
    "code_token_ids",
    "code_mask_id",
    "code_downsampling",
    "vocabulary_fingerprint",
    "task_tags",
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


class Run(Spec):
    """One training, as its YAML file says, or Python.

    Its paths are relative to the file, and resolved once loaded.
    """

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
    _loaded_mixture: Mixture | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _obey_rules(self) -> Run:
        if self.batch_size is None and self.batch_tokens is None:
            expected = "a whole number, or batch_tokens"
            refuse([Problem(("batch_size",), "is missing", expected=expected)])
        if self.batch_size is not None and self.batch_tokens is not None:
            what = "there is batch_size, too, which says how many examples a step has"
            refuse([Problem(("batch_tokens",), what, expected="one of the two")])
        if self.batch_tokens is not None and self.batch_tokens < self.fewest_tokens():
            what = f"found {self.batch_tokens}, too few for examples of {self.longest} ids"
            expected = f"at least {self.fewest_tokens()}"
            refuse([Problem(("batch_tokens",), what, expected=expected)])
        if self.batch_tokens is not None and self.epochs is not None:
            what = "how many steps they take is not known before all lengths are"
            refuse([Problem(("epochs",), what, expected="steps, beside batch_tokens")])
        if self.steps is None and self.epochs is None:
            refuse([Problem(("steps",), "is missing", expected="a whole number, or epochs")])
        if self.steps is not None and self.epochs is not None:
            what = "there are steps, too, which say how long it trains"
            refuse([Problem(("epochs",), what, expected="one of the two, and null for the other")])
        vision, optimizer = self.model.vision, self.optimizer
        said = f"an image branch of kind {vision.kind!r} does not read this"
        given = vision.model_fields_set
        if self.model.from_ is not None and "kind" not in given:
            given = set()  # what it starts from says of which kind it is
        refuse(ENCODERS.idle_problems(vision.kind, given, ("model", "vision"), said))
        said = f"the optimiser {optimizer.name!r} does not read this"
        given = optimizer.model_fields_set
        refuse(OPTIMIZERS.idle_problems(optimizer.name, given, ("optimizer",), said))
        if self.lora is not None and self.freeze:
            said = "adapters leave all other weights as they are anyway"
            refuse([Problem(("freeze",), said, expected="no `freeze` beside `lora`")])
        if self.lora is not None and self.lora.save == "adapter" and self.model.from_ is None:
            said = "adapters alone need a saved model to be opened beside"
            refuse([Problem(("lora", "save"), said, expected="model.from, or save: merged")])
        refuse(teacher_problems(self))
        return self

    @property
    def loaded_mixture(self) -> Mixture:
        """The mixture, where `mixture` names its file, too."""
        assert self._loaded_mixture is not None, "every run is settled"
        return self._loaded_mixture

    @property
    def longest(self) -> int:
        """Ids of the longest example."""
        return self.max_source_tokens + self.max_target_tokens

    @property
    def rows(self) -> int:
        """Examples of a step; of `batch_tokens` as many as fit where all are the longest."""
        if self.batch_size is not None:
            return self.batch_size
        assert self.batch_tokens is not None, "a run has one of the two"
        return self.batch_tokens // self.longest

    def fewest_tokens(self, world: int = 1) -> int:
        """Of `batch_tokens`, so that each part of each rank's share has an example, however the
        tokens of a window are cut (`data.streams`)."""
        return 4 * world * self.accumulate * self.longest

    @property
    def last_step(self) -> int:
        """The number of steps, which epochs are once their rows are counted."""
        assert self.steps is not None, "epochs become steps before the training"
        return self.steps

    @property
    def trains_a_part(self) -> bool:
        """Whether some weights are frozen, which checkpoints do not hold."""
        return bool(self.freeze or self.model.vision.frozen) or self.lora is not None

    def __hash__(self) -> int:
        return hash((self.run, self.version))

    def told(self) -> str:
        mixture = self.mixture.mixture if isinstance(self.mixture, Mixture) else self.mixture
        length = f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"
        return f"{self.run}: {mixture}, {length}, into {self.output}"

    def settle(self, origin: Origin) -> None:
        super().settle(origin)
        refuse_old_paths(self)
        if isinstance(self.mixture, Path) and not self.mixture.is_file():
            close = missing_file(self.mixture).nearest
            raise self.error(("mixture",), f"there is no file {str(self.mixture)!r}", nearest=close)
        if self.engine is not None:
            _check_engine(self, self.engine)
        named = self.mixture
        mixture = self._loaded_mixture = (
            named if isinstance(named, Mixture) else load_mixture(named)
        )
        if mixture.schedule.scored_key is not None and not self.score_every:
            rests = mixture.schedule.stop_and_go is not None
            asking = "stop-and-go" if rests else f"a schedule of kind {mixture.schedule.kind!r}"
            raise self.error(
                ("score_every",),
                f"{asking} goes by scores, which mixture {mixture.mixture!r} asks for",
                expected="1 or more",
            )
        refuse_unfit_course(self)
        refuse_idle_augment(self)

    @classmethod
    def explain(cls, problem: Problem, found: object) -> Problem:
        """What is wrong with keys that are right in a saved model's configuration."""
        if problem.path[:1] == ("model",) and problem.path[-1] in DECIDED_ELSEWHERE:
            return Problem(problem.path, "the tokenizer or the mixture decides this")
        return problem


def _check_engine(run: Run, path: Path) -> None:
    """That the engine's file is there and right; a mistake in it is told at its own key."""
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.json")] if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        raise run.error(("engine",), f"there is no file {str(path)!r}", nearest=close)
    read_engine(path)


FOLLOWERS.append(partial(Run.model_rebuild, force=True))
