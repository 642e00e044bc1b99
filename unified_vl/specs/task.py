"""A task: what its data are, what the model reads and writes, how it is scored.

A task spec holds no learning rate, no batch size and no path of somebody's machine:
how often a task is trained is the mixture's business, and how it is run the run
file's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from unified_vl.kinds.registry import usual_place
from unified_vl.languages.tags import find
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.reading.checks import named_slots
from unified_vl.specs.reading.document import KEYS_OF, Name, Origin, Version, refuse
from unified_vl.specs.reading.parse import validate
from unified_vl.specs.reading.rules import task_problems
from unified_vl.specs.reading.spec_file import parse_kind
from unified_vl.specs.spec import Spec
from unified_vl.specs.tasks.choices import load_choices, load_class_names
from unified_vl.specs.tasks.code_switch import Dictionary, load_dictionaries
from unified_vl.specs.tasks.data import DataSpec
from unified_vl.specs.tasks.example import ExampleSpec
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.specs.tasks.generate import AnswerForm, GenerateSpec
from unified_vl.specs.tasks.score import ScoreSpec
from unified_vl.specs.tasks.template import Template, parse_template, slots

TaskTags = Literal["task", "family", "none"]


def _texts(value: object) -> object:
    """One text as a list of one.

    Raises:
        PydanticCustomError: for what is neither a text nor a list of texts.
    """
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise PydanticCustomError("texts", "a text, or a list of texts")


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=str | list[str])]


class TaskSpec(Spec):
    """A task of the model, as its YAML file says, or Python; frozen and hashable."""

    include: str | None = Field(
        default=None,
        min_length=1,
        description="Another task spec, relative to this file: this one has its keys, except those "
        "that it gives itself. Mappings are merged, all else is replaced, null takes a key away.",
        examples=["refcoco.yaml"],
    )
    task: Name = Field(description="Name of the task.", examples=["caption_photos"])
    version: Version = Field(
        description="Raise it when the same rows would score differently.", examples=[1]
    )
    about: str = Field(
        min_length=1,
        description="What the task asks, in one sentence.",
        examples=["Describe an image in one sentence."],
    )
    family: Name | None = Field(
        default=None,
        description="The kind of task it is of, where mixtures tag by family.",
        examples=["captioning"],
    )
    paper: str | None = Field(
        default=None,
        description="Where it was published.",
        examples=["https://arxiv.org/abs/1504.00325"],
    )
    data: DataSpec = Field(
        description="Where the rows are.",
        examples=[
            {
                "reader": "jsonl",
                "path": "photos/{split}.jsonl",
                "splits": {"train": "train", "test": "test"},
                "languages": ["en", "de"],
                "language_column": "language",
            }
        ],
    )
    fields: dict[Name, FieldSpec] = Field(
        min_length=1,
        description="The values of a row by name.",
        examples=[
            {
                "image": {"kind": "image", "column": "file"},
                "captions": {"kind": "text", "column": "captions", "many": True},
            }
        ],
    )
    example: ExampleSpec = Field(
        description="How a row becomes source and target.",
        examples=[
            {
                "source": "{task} {image} {ask}",
                "target": "{captions}",
                "pick": {"captions": "random"},
            }
        ],
    )
    wording: dict[Name, dict[str, Texts]] = Field(
        default_factory=dict,
        description="Texts of the templates by language tag, or `default`; {language_name} is "
        "filled in. Of a list, training draws one at random and evaluation takes the first.",
        examples=[
            {
                "ask": {
                    "en": "Describe the image.",
                    "default": "Describe the image in {language_name}.",
                }
            }
        ],
    )
    generate: GenerateSpec = Field(
        default_factory=GenerateSpec,
        description="How an answer is generated.",
        examples=[{"method": "beam", "beams": 4, "max_tokens": 48}],
    )
    score: tuple[ScoreSpec, ...] = Field(
        min_length=1,
        description="The numbers to report; exactly one is primary.",
        examples=[
            [
                {"metric": "cider", "against": "captions", "primary": True},
                {"metric": "chrf", "against": "captions"},
            ]
        ],
    )
    report_by: tuple[str, ...] = Field(
        default=(),
        description="Break the scores down by `language` or by columns.",
        examples=[["language"]],
    )

    _choices: tuple[str, ...] = PrivateAttr(default=())
    _dictionaries: dict[str, Dictionary] = PrivateAttr(default_factory=dict)
    _class_names: dict[tuple[str, str | None], tuple[str, ...]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _obey_rules(self) -> TaskSpec:
        refuse(task_problems(self))
        return self

    def told(self) -> str:
        reads, writes = (", ".join(self.fields_of(side)) for side in (self.source, self.target))
        languages = self.data.languages
        count = f"{len(languages)} languages" if len(languages) > 3 else ", ".join(languages)
        return f"{self.task}: {reads} -> {writes} ({count})"

    def settle(self, origin: Origin) -> None:
        super().settle(origin)
        if origin.text is not None and origin.file is None:
            return  # a text alone: what it names lies beside a file that is not there yet
        self._choices = load_choices(self)
        self._dictionaries = load_dictionaries(self)
        self._class_names = load_class_names(self)

    def __hash__(self) -> int:
        return hash((self.task, self.version))

    @property
    def choices(self) -> tuple[str, ...]:
        """The closed answers, where there are any and they are known.

        Those of a field are known once `data.choices.learn_choices` has read the data, or a saved
        model carries them.
        """
        given = self.generate.choices
        return self._choices or (given.values if given and given.values else ())

    def with_choices(self, choices: Iterable[str]) -> TaskSpec:
        """The same task, with closed answers that were not known; of several the first counts."""
        found = self.model_copy()
        found._choices = tuple(dict.fromkeys(choices))
        return found

    def prompted(self) -> TaskSpec:
        """The same task with `example.prompt`, where it has one, in place of its source."""
        if self.example.prompt is None:
            return self
        example = self.example.model_copy(update={"source": self.example.prompt})
        found = self.model_copy(update={"example": example})
        found.__dict__.pop("source", None)  # which is remembered once it was parsed
        return found

    @property
    def class_files(self) -> Mapping[tuple[str, str | None], tuple[str, ...]]:
        """The names of classes that lie in files, by field and language (None for all of them)."""
        return self._class_names

    def class_names(self, field: str, language: str) -> tuple[str, ...]:
        """The names of a label's classes in a language, in the order of their numbers."""
        names = self.fields[field].names
        if names is not None and names.values is not None:
            return names.values
        known = self._class_names
        return known[field, language] if (field, language) in known else known[field, None]

    @property
    def answer_form(self) -> AnswerForm:
        """What runs of location tokens in an answer are, and how numbers are written."""
        values = [self.fields[name] for name in self.fields_of(self.target)]
        shapes = [field for field in values if field.writing == "places"]
        shape = shapes[0].kind if shapes else usual_place()
        many = len(shapes) > 1 or any(field.many for field in shapes)
        decimals = max((f.decimals or 0 for f in values), default=0)
        image = any(f.writing == "codes" for f in values)
        empty = bool(shapes) and all(field.empty for field in values)
        return AnswerForm(
            shape, many, decimals, self.example.sentinels, image, empty, tuple(values)
        )

    @cached_property
    def source(self) -> Template:
        return parse_template(self.example.source)

    @cached_property
    def target(self) -> Template:
        return parse_template(self.example.target)

    @cached_property
    def shot(self) -> Template | None:
        """The template of a shot, where the task has shots."""
        shots = self.example.shots
        return None if shots is None else parse_template(shots.each)

    @property
    def primary(self) -> ScoreSpec:
        """The score that stands for the task."""
        return next(score for score in self.score if score.primary)

    @property
    def split_by(self) -> str | None:
        """The column by which rows are split into shares; None where nothing says one."""
        if self.data.splits_.by is not None:
            return self.data.splits_.by
        seen = self.image_field or self.video_field or self.regions_field
        return self.data.key_column if seen is None else self.fields[seen].column

    @property
    def image_field(self) -> str | None:
        """The first image field: the one that shapes are measured in (its first image)."""
        return next((name for name, f in self.fields.items() if f.of_kind.is_input_image), None)

    @property
    def video_field(self) -> str | None:
        """The first video field."""
        return next((name for name, f in self.fields.items() if f.of_kind.is_video), None)

    @property
    def regions_field(self) -> str | None:
        """The first field of an image's regions."""
        return next((name for name, f in self.fields.items() if f.of_kind.has_features), None)

    @property
    def dictionaries(self) -> dict[str, Dictionary]:
        """The dictionaries of code-switched fields, by field."""
        return self._dictionaries

    def fields_of(self, template: Template) -> tuple[str, ...]:
        """The fields that a template reads, in its order, also those within its joins."""
        joins = self.example.join
        names: dict[str, None] = {}
        for name in slots(template):
            within = named_slots(joins[name].each) if name in joins else [name]
            names |= dict.fromkeys(inner for inner in within if inner in self.fields)
        return tuple(names)

    def wording_in(self, slot: str, language: str) -> tuple[str, ...]:
        """The texts of a wording in a language, or else its defaults, not yet filled."""
        texts = self.wording[slot]
        return texts[find(language, texts) or "default"]


KEYS_OF["a task spec"] = lambda: TaskSpec.model_fields
FOLLOWERS.append(partial(TaskSpec.model_rebuild, force=True))  # of what its fields may say


def load_task(path: str | Path) -> TaskSpec:
    """Read a task spec, and what it keeps in other files: choices and dictionaries.

    Raises:
        UserError: with file, line, field and the nearest known name.
    """
    return validate(TaskSpec, parse_kind(Path(path), "task"))
