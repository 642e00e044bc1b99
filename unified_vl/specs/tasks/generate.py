"""How an answer is generated, and the closed answers of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from unified_vl.kinds.kind import Writing
from unified_vl.kinds.registry import KINDS, usual_place
from unified_vl.specs.reading.document import Name, OneOf, Part
from unified_vl.specs.tasks.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What a grammar must know of a task's target.

    Attributes:
        shape: the kind of value that runs of location tokens are.
        many: whether there may be several of them.
        decimals: digits behind a number's point.
        sentinels: whether texts are told apart by sentinels (span corruption).
        image: whether there is an image in codes, before all else.
        empty: whether there may be none of the shapes.
        fields: those that the target writes.
    """

    shape: str = usual_place()
    many: bool = False
    decimals: int = 0
    sentinels: bool = False
    image: bool = False
    empty: bool = False
    fields: tuple[FieldSpec, ...] = ()


MIXED = "mixed"  # text with values of other kinds


def grammar_names() -> tuple[str, ...]:
    """What `allow` may name: the grammars of each kind of value, and the mix of text with any."""
    kinds = sorted(KINDS.values(), key=lambda kind: get_args(Writing).index(kind.writing))
    return (*(name for kind in kinds for name in kind.allows), MIXED)


BadWord = Annotated[str, Field(min_length=1, pattern=r"\S")]


class ChoicesSpec(Part):
    """Where the closed answers of a task are: exactly one of the keys."""

    file: str | None = Field(
        default=None,
        min_length=1,
        description="A text file, a choice a line, relative to the spec and below its folder.",
        examples=["answers.txt"],
    )
    values: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="The choices themselves.", examples=[["yes", "no"]]
    )
    field: Name | None = Field(
        default=None,
        description="A field of kind text: all that it holds in the train split; or of kind label: "
        "the names of its classes.",
        examples=["answer"],
    )


class RerankSpec(Part):
    """Another task of the model, asked how well an image that was drawn shows a text."""

    task: Name = Field(
        description="A task whose source is an image and whose target is a text.",
        examples=["emoji_caption"],
    )
    field: Name = Field(
        description="The field of this task's source that it should say of the image.",
        examples=["name"],
    )


class GenerateSpec(Part):
    """How an answer is generated."""

    method: Literal["greedy", "beam", "sample", "constrained", "score_choices"] = Field(
        default="greedy",
        description="The best token at each step; a search over several; a draw; one of the "
        "choices, token by token; or all choices scored and the best taken.",
        examples=["beam"],
    )
    beams: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Width of a beam search (beam and constrained).",
        examples=[4],
    )
    choices: ChoicesSpec | None = Field(
        default=None,
        description="The closed answers (constrained and score_choices).",
        examples=[{"file": "answers.txt"}],
    )
    normalize: Literal["none", "tokens"] | None = Field(
        default=None,
        description="score_choices only: rank by the log-probability of a choice, or by its mean "
        "over tokens (unless given).",
        examples=["tokens"],
    )
    temperature: float | None = Field(
        default=None,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="sample only: below 1 the likely becomes likelier (1 unless given).",
        examples=[0.7],
    )
    top_k: int | None = Field(
        default=None,
        ge=1,
        le=1 << 22,
        description="sample only: draw from so many of the best tokens.",
        examples=[50],
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="sample only: draw from the best tokens that hold this probability together.",
        examples=[0.9],
    )
    best_of: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="sample only: draw so many answers, keep the best.",
        examples=[8],
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="sample only: the same seed draws the same (0 unless given).",
        examples=[1],
    )
    guidance: float | None = Field(
        default=None,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="greedy and sample, with example.drop: how far to go from what would be "
        "written without the dropped fields to what is with them; 1 is no guidance.",
        examples=[3.0],
    )
    rerank: RerankSpec | None = Field(
        default=None,
        description="Images only, with best_of: the best is the one whose text another task of "
        "the model finds likeliest (the likeliest image, unless given).",
        examples=[{"task": "emoji_caption", "field": "name"}],
    )
    max_tokens: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Longest answer, in tokens; one that is cut there is marked.",
        examples=[48],
    )
    min_tokens: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Shortest answer, in tokens, without its end.",
        examples=[4],
    )
    length_penalty: float | None = Field(
        default=None,
        ge=-10,
        le=10,
        allow_inf_nan=False,
        description="Beams only: hypotheses are ranked by their log-probability divided by their "
        "length to this power (1 unless given); more prefers longer ones.",
        examples=[0.8],
    )
    no_repeat_ngram: int | None = Field(
        default=None,
        ge=1,
        le=1 << 10,
        description="So many tokens never come twice in the same order.",
        examples=[3],
    )
    repetition_penalty: float | None = Field(
        default=None,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="Above 1, what was written is less likely to come again (CTRL, "
        "arXiv 1909.05858, section 4.1).",
        examples=[1.2],
    )
    prefix: str | None = Field(
        default=None,
        min_length=1,
        description="How every answer begins; the model goes on from there, by up to `max_tokens`.",
        examples=["A photo of"],
    )
    bad_words: tuple[BadWord, ...] | None = Field(
        default=None,
        min_length=1,
        description="What no answer may hold, as the tokenizer writes it at the start of a word "
        "and within one.",
        examples=[["photo", "picture"]],
    )
    language: Literal["enforce"] | None = Field(
        default=None,
        description="Write in the scripts of the row's language alone, but for what is copied from "
        "the texts of the source.",
        examples=["enforce"],
    )
    allow: Annotated[str, OneOf(grammar_names)] = Field(
        default="text",
        description="The grammar of the answer, enforced while decoding: text, a number, shapes "
        "alone, boxes behind their labels, an image in codes, or text mixed with shapes or behind "
        "an image.",
        examples=["box"],
    )
