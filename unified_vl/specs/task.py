"""A task: what its data are, what the model reads and writes, how it is scored.

A task spec holds no learning rate, no batch size and no path of somebody's machine:
how often a task is trained is the mixture's business, and how it is run the run
file's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from unified_vl.specs.document import Document, LanguageTag, Name, Part, refuse
from unified_vl.specs.rules import task_problems
from unified_vl.specs.score_rules import known_metric
from unified_vl.specs.template import Template, parse_template

Kind = Literal["text", "image", "box", "language"]
TaskTags = Literal["task", "family", "none"]
SplitName = Literal["train", "validation", "test"]
Metric = Literal[
    "exact_match",
    "accuracy",
    "vqa_accuracy",
    "anls",
    "f1",
    "bleu",
    "chrf",
    "ter",
    "cider",
    "rouge_l",
    "coco_bleu_1",
    "coco_bleu_2",
    "coco_bleu_3",
    "coco_bleu_4",
    "box_accuracy",
    "mean_iou",
    "coco_map",
]


class FieldSpec(Part):
    """A value of a row: the column it is stored in, apart from what it means."""

    kind: Kind = Field(description="What the value means to the model.")
    column: str = Field(
        min_length=1,
        description="The column that holds it; may contain {language}, the tag of the row's "
        "language.",
    )
    many: bool = Field(
        default=False, description="Whether the column holds a list of values (text and box)."
    )
    layout: Literal["xyxy", "xywh"] | None = Field(
        default=None,
        description="Boxes only, and mandatory there: two corners, or a corner and a size.",
    )
    units: Literal["pixels", "relative"] | None = Field(
        default=None,
        description="Boxes only, and mandatory there: pixels of the image, or fractions of it.",
    )


class DataSpec(Part):
    """Where the rows are."""

    reader: Literal["parquet", "jsonl", "csv"] = Field(description="The format of the files.")
    path: str = Field(
        min_length=1,
        description="The files, relative to the data root; {split} and {language} are filled in.",
    )
    splits: dict[SplitName, str] = Field(
        min_length=1, description="What each split is called in the path."
    )
    languages: tuple[LanguageTag, ...] = Field(
        min_length=1, description="Tags of all languages of the rows."
    )
    language_column: str | None = Field(
        default=None,
        description="The column that names a row's language; otherwise it is the {language} of "
        "the path, or the only one.",
    )
    key_column: str | None = Field(
        default=None, description="The column that names a row in predictions and reports."
    )
    on_bad_row: Literal["stop", "skip"] = Field(
        default="stop",
        description="Whether a row that breaks the spec stops the work or is skipped and counted.",
    )


class ExampleSpec(Part):
    """How a row becomes what the model reads and what it shall write."""

    source: str = Field(
        min_length=1,
        description="Template of what the model reads. Slots: fields, wordings, {language}, "
        "{task}, {language_name}.",
    )
    target: str = Field(min_length=1, description="Template of what it shall write.")
    pick: dict[Name, Literal["random", "first"]] = Field(
        default_factory=dict,
        description="For fields with many values: which one an example of training takes.",
    )


class ChoicesSpec(Part):
    """Where the closed answers of a task are: exactly one of the keys."""

    file: str | None = Field(
        default=None,
        min_length=1,
        description="A text file, a choice a line, relative to the spec and below its folder.",
    )
    values: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="The choices themselves."
    )
    field: Name | None = Field(
        default=None, description="A field of kind text: all that it holds in the train split."
    )


class GenerateSpec(Part):
    """How an answer is generated."""

    method: Literal["greedy", "beam", "sample", "constrained", "score_choices"] = Field(
        default="greedy",
        description="The best token at each step; a search over several; a draw; one of the "
        "choices, token by token; or all choices scored and the best taken.",
    )
    beams: int = Field(
        default=1, ge=1, le=64, description="Width of a beam search (beam and constrained)."
    )
    choices: ChoicesSpec | None = Field(
        default=None, description="The closed answers (constrained and score_choices)."
    )
    normalize: Literal["none", "tokens"] | None = Field(
        default=None,
        description="score_choices only: rank by the log-probability of a choice, or by its mean "
        "over tokens (unless given).",
    )
    temperature: float | None = Field(
        default=None,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="sample only: below 1 the likely becomes likelier (1 unless given).",
    )
    top_k: int | None = Field(
        default=None, ge=1, description="sample only: draw from so many of the best tokens."
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="sample only: draw from the best tokens that hold this probability together.",
    )
    best_of: int | None = Field(
        default=None, ge=1, le=64, description="sample only: draw so many answers, keep the best."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="sample only: the same seed draws the same (0 unless given).",
    )
    max_tokens: int = Field(default=64, ge=1, le=4096, description="Longest answer, in tokens.")
    allow: Literal["text", "box"] = Field(
        default="text",
        description="The grammar of the answer, enforced while decoding: text, or boxes alone.",
    )


class ScoreSpec(Part):
    """One number that says how good the answers are."""

    metric: Annotated[Metric, BeforeValidator(known_metric)] = Field(
        description="The metric; docs/metrics.md says what each one is."
    )
    against: Name = Field(description="The field with the right answers.")
    iou: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="box_accuracy only: the overlap that counts as right (0.5 unless given).",
    )
    primary: bool = Field(
        default=False, description="Marks the one score that stands for the task."
    )

    @property
    def threshold(self) -> float:
        """The overlap (intersection over union) from which a box counts as right."""
        return 0.5 if self.iou is None else self.iou


class TaskSpec(Document):
    """A task of the model, as its YAML file says; frozen and hashable."""

    task: Name = Field(description="Name of the task.")
    version: int = Field(ge=1, description="Raise it when the same rows would score differently.")
    about: str = Field(min_length=1, description="What the task asks, in one sentence.")
    family: Name | None = Field(
        default=None, description="The kind of task it is of, where mixtures tag by family."
    )
    paper: str | None = Field(default=None, description="Where it was published.")
    data: DataSpec = Field(description="Where the rows are.")
    fields: dict[Name, FieldSpec] = Field(min_length=1, description="The values of a row by name.")
    example: ExampleSpec = Field(description="How a row becomes source and target.")
    wording: dict[Name, dict[str, str]] = Field(
        default_factory=dict,
        description="Texts of the templates by language tag, or `default`; {language_name} is "
        "filled in.",
    )
    generate: GenerateSpec = Field(
        default_factory=GenerateSpec, description="How an answer is generated."
    )
    score: tuple[ScoreSpec, ...] = Field(
        min_length=1, description="The numbers to report; exactly one is primary."
    )
    report_by: tuple[str, ...] = Field(
        default=(), description="Break the scores down by `language` or by columns."
    )

    _choices: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _obey_rules(self) -> TaskSpec:
        refuse(task_problems(self))
        return self

    def __hash__(self) -> int:
        return hash((self.task, self.version))

    @property
    def choices(self) -> tuple[str, ...]:
        """The closed answers, where there are any and they are known.

        Those in a file are known once the spec is loaded, those of a field once
        `data.choices.learn_choices` has read the data or a saved model carries them.
        """
        given = self.generate.choices
        return self._choices or (given.values if given and given.values else ())

    @cached_property
    def source(self) -> Template:
        return parse_template(self.example.source)

    @cached_property
    def target(self) -> Template:
        return parse_template(self.example.target)

    @property
    def primary(self) -> ScoreSpec:
        """The score that stands for the task."""
        return next(score for score in self.score if score.primary)

    @property
    def image_field(self) -> str | None:
        """The first image field: the one that boxes are measured in."""
        return next((name for name, f in self.fields.items() if f.kind == "image"), None)

    def wording_in(self, slot: str, language: str) -> str:
        """The text of a wording in a language, or else its default, not yet filled."""
        texts = self.wording[slot]
        return texts[language] if language in texts else texts["default"]
