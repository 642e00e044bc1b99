"""How a row becomes what the model reads and what it shall write."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_vl.specs.reading.document import LanguageTag, Name, Part
from unified_vl.specs.runs.augment import AugmentName

SHOTS = "shots"  # the slot that the key `shots` gives
BESIDE_A_JOIN = ("letter", "number")  # slots of `each` that count its values
RATES = {  # unless `rate` is given
    "span_corruption": 0.15,
    "masking": 0.15,
    "code_switch": 0.5,
    "code_masking": 0.4,
}
MEAN_SPAN = 3.0
MASK_TAG = "mask"
IMAGE_MASK_TAG = "mask:image"
SENTINELS = 100  # as T5 has them


def sentinel_tag(number: int) -> str:
    """The tag that stands for the span of that number, from 0."""
    return f"sentinel:{number}"


class JoinSpec(Part):
    """A slot that is made of lists of equal length: dialogue turns, options, OCR tokens."""

    each: str = Field(
        min_length=1,
        description="Template of one value of each list. Slots: fields with many: true, wordings, "
        "{language_name}, and {letter} (A, B, ...) and {number} (1, 2, ...), its place.",
        examples=["({letter}) {choices}"],
    )
    between: str = Field(
        default=" ", description="What stands between two of them.", examples=["\n"]
    )
    last: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="Take only so many, from the end (the last turns).",
        examples=[10],
    )


class ShotsSpec(Part):
    """Rows of the train split as worked examples in the source: the slot {shots}."""

    count: int = Field(ge=1, le=64, description="How many.", examples=[2])
    each: str = Field(
        min_length=1,
        description="Template of one; slots as in `source`, and those of `target`.",
        examples=["{image} {question} {answer}"],
    )
    between: str = Field(
        default="\n", description="What stands between two of them.", examples=["\n"]
    )


class MismatchSpec(Part):
    """Wrong pairs: a field's value from another row, and a slot that says so."""

    field: Name = Field(
        description="The field whose value may come from another row.", examples=["captions"]
    )
    rate: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="How often it does (0.5 unless given).",
        examples=[0.5],
    )
    slot: Name = Field(
        default="matches",
        description="The slot that says `right` or `wrong` (matches).",
        examples=["matches"],
    )
    right: str = Field(
        min_length=1,
        description="For the row's own value: a text, or the name of a wording.",
        examples=["yes"],
    )
    wrong: str = Field(
        min_length=1,
        description="For another row's value: a text, or the name of a wording.",
        examples=["no"],
    )


class DictionarySpec(Part):
    """Where words and their translations are."""

    file: str = Field(
        min_length=1,
        description="Values between tabs below a line of language tags, relative to the spec and "
        "below its folder: a word and its translations a line.",
        examples=["words.tsv"],
    )


class NoiseSpec(Part):
    """What is done to a text, or an image in codes, before the model reads it, and what it then
    shall write."""

    kind: Literal["span_corruption", "prefix_lm", "masking", "code_switch", "code_masking"] = Field(
        description="Spans of pieces taken out, which the target gives (T5); a beginning, which "
        "the target goes on from; words masked, and the whole text as target; words replaced "
        "by translations, and the text as it was as target (M3P); or, of an image in codes, "
        "blocks masked and the whole image as target (BEiT).",
        examples=["span_corruption"],
    )
    rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="The share of the text that is taken out (0.15), masked (0.15) or replaced "
        "(0.5), of the codes that are masked (0.4); below 1 for span_corruption.",
        examples=[0.15],
    )
    mean_span: float | None = Field(
        default=None,
        ge=1,
        le=100,
        allow_inf_nan=False,
        description="span_corruption only: mean length of a span, in pieces (3 unless given).",
        examples=[3],
    )
    dictionary: DictionarySpec | None = Field(
        default=None,
        description="code_switch only, and mandatory there: the translations.",
        examples=[{"file": "words.tsv"}],
    )
    languages: tuple[LanguageTag, ...] | None = Field(
        default=None,
        min_length=1,
        description="code_switch only: the languages to take translations from (all others that "
        "the dictionary has, unless given).",
        examples=[["de", "fr"]],
    )

    @property
    def share(self) -> float:
        """The share of the text that is changed."""
        return RATES.get(self.kind, 0.0) if self.rate is None else self.rate

    @property
    def on_pieces(self) -> bool:
        """Whether the tokenizer's pieces are what is taken out, and not words."""
        return self.kind in ("span_corruption", "prefix_lm")


class DropSpec(Part):
    """What training leaves out of the source (classifier-free guidance, arXiv 2207.12598)."""

    fields: tuple[Name, ...] = Field(
        min_length=1,
        description="Fields of the source; all of them are left out, or none.",
        examples=[["name"]],
    )
    rate: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="How often (0.1 unless given).",
        examples=[0.1],
    )


class ExampleSpec(Part):
    """How a row becomes what the model reads and what it shall write."""

    source: str = Field(
        min_length=1,
        description="Template of what the model reads. Slots: fields, wordings, joins, {language}, "
        "{task}, {language_name}, {shots}.",
        examples=["{task} {language} {image} {question}"],
    )
    target: str = Field(
        min_length=1, description="Template of what it shall write.", examples=["{answers}"]
    )
    prompt: str | None = Field(
        default=None,
        min_length=1,
        description="Template of what models of other projects are asked, word for word, in place "
        "of a prompt made of `about`, the source and the form of the answers "
        "(docs/scoring_others.md). Slots as in source.",
        examples=["{image} {question} Answer with a single word or phrase."],
    )
    pick: dict[Name, Literal["random", "first"]] = Field(
        default_factory=dict,
        description="For fields with many values: which one an example of training takes.",
        examples=[{"answers": "random"}],
    )
    join: dict[Name, JoinSpec] = Field(
        default_factory=dict,
        description="Slots that are made of lists of equal length.",
        examples=[
            {"history": {"each": "Q: {questions} A: {answers}", "between": "\n", "last": 10}}
        ],
    )
    shots: ShotsSpec | None = Field(
        default=None,
        description="Rows of the train split in the source, never the row itself.",
        examples=[{"count": 2, "each": "{image} {question} {answer}", "between": "\n"}],
    )
    mismatch: MismatchSpec | None = Field(
        default=None,
        description="Values of another row in place of the row's own, now and then.",
        examples=[
            {"field": "captions", "rate": 0.5, "slot": "matches", "right": "yes", "wrong": "no"}
        ],
    )
    noise: dict[Name, NoiseSpec] = Field(
        default_factory=dict,
        description="What is done to a field (text or image_codes), by its name: its slot then is "
        "the changed text in the source, and in the target what was taken out or the text as it "
        "was.",
        examples=[{"caption": {"kind": "span_corruption", "rate": 0.15, "mean_span": 3}}],
    )
    drop: DropSpec | None = Field(
        default=None,
        description="Fields that training leaves out of the source now and then, so that "
        "`generate.guidance` can compare with and without them.",
        examples=[{"fields": ["name"], "rate": 0.1}],
    )
    forbid_augment: tuple[AugmentName, ...] = Field(
        default=(),
        description="What no run may do to its pictures, since its answers would be wrong: "
        "horizontal_flip where texts say left and right, read letters or name things in their "
        "order; color_jitter and grayscale where they name colours.",
        examples=[["horizontal_flip"]],
    )

    @property
    def templates(self) -> tuple[str, ...]:
        """All templates of the model: source, target, and those of joins and shots."""
        shots = () if self.shots is None else (self.shots.each,)
        return (self.source, self.target, *(join.each for join in self.join.values()), *shots)

    @property
    def words(self) -> tuple[str, ...]:
        """The texts beside the templates: what joins and shots have between, and answers."""
        shots = () if self.shots is None else (self.shots.between,)
        answers = () if self.mismatch is None else (self.mismatch.right, self.mismatch.wrong)
        return (*(join.between for join in self.join.values()), *shots, *answers)

    @property
    def on_pieces(self) -> bool:
        """Whether any noise is on the tokenizer's pieces."""
        return any(noise.on_pieces for noise in self.noise.values())

    @property
    def sentinels(self) -> bool:
        """Whether any noise writes sentinels."""
        return any(noise.kind == "span_corruption" for noise in self.noise.values())

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that noise needs in the vocabulary."""
        kinds = {noise.kind for noise in self.noise.values()}
        masks = {"masking": MASK_TAG, "code_masking": IMAGE_MASK_TAG}
        sentinels = map(sentinel_tag, range(SENTINELS if self.sentinels else 0))
        return (*(tag for kind, tag in masks.items() if kind in kinds), *sentinels)
