"""The values of a row: where each is stored, and what it means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_vl.specs.document import Name, Part

Kind = Literal[
    "text",
    "number",
    "label",
    "choice",
    "image",
    "image_codes",
    "box",
    "point",
    "polygon",
    "language",
]
ShapeKind = Literal["box", "point", "polygon"]
Written = Literal["letter", "number", "text"]
TEXTS: tuple[Kind, ...] = ("text", "number", "label", "choice")  # written in pieces of text
SHAPES: tuple[ShapeKind, ...] = ("box", "point", "polygon")  # written in location tokens
LISTS: tuple[Kind, ...] = ("text", "number", "label", "image", *SHAPES)  # may hold many values


class NamesSpec(Part):
    """The names of a label's classes, in the order of their numbers: exactly one of the keys."""

    file: str | None = Field(
        default=None,
        min_length=1,
        description="A text file, a name a line, relative to the spec and below its folder; may "
        "contain {language}.",
        examples=["classes_{language}.txt"],
    )
    values: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="The names themselves.", examples=[["cat", "dog"]]
    )


class FieldSpec(Part):
    """A value of a row: the column it is stored in, apart from what it means."""

    kind: Kind = Field(description="What the value means to the model.", examples=["box"])
    column: str = Field(
        min_length=1,
        description="The column that holds it; may contain {language}, the tag of the row's "
        "language.",
        examples=["caption_{language}"],
    )
    many: bool = Field(
        default=False, description="Whether the column holds a list of values.", examples=[True]
    )
    as_: Literal["patches", "codes"] | None = Field(
        default=None,
        alias="as",
        description="Images only: read through the model's image branch, or as codes of the image "
        "tokenizer (patches).",
        examples=["codes"],
    )
    layout: Literal["xyxy", "xywh"] | None = Field(
        default=None,
        description="Boxes only, and mandatory there: two corners, or a corner and a size.",
        examples=["xywh"],
    )
    units: Literal["pixels", "relative"] | None = Field(
        default=None,
        description="Boxes, points and polygons only, and mandatory there: pixels of the image, "
        "or fractions of it.",
        examples=["pixels"],
    )
    labels: Name | None = Field(
        default=None,
        description="Boxes only: the field of as many texts or labels that say what is in each.",
        examples=["names"],
    )
    decimals: int | None = Field(
        default=None,
        ge=0,
        le=9,
        description="Numbers only: digits behind the point (0).",
        examples=[1],
    )
    names: NamesSpec | None = Field(
        default=None,
        description="Labels only, and mandatory there: the names of the classes.",
        examples=[{"file": "classes.txt"}],
    )
    first: int | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Labels and choices only: the lowest number (0).",
        examples=[1],
    )
    of: Name | None = Field(
        default=None,
        description="Choices only, and mandatory there: the field with the texts to choose from.",
        examples=["options"],
    )
    write: Written | None = Field(
        default=None,
        description="Choices only: what is written, the letter (A, B, ...), the number (1, 2, ...) "
        "or the text that is chosen (letter).",
        examples=["letter"],
    )

    @property
    def in_codes(self) -> bool:
        """Whether the model meets it as codes of the image tokenizer."""
        return self.kind == "image_codes" or self.as_ == "codes"
