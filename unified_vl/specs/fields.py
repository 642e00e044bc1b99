"""The values of a row: where each is stored, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

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
Layout = Literal["xyxy", "xywh", "cxcywh"]
Orientation = Literal["upright", "stored"]
ColumnName = Annotated[str, Field(min_length=1)]
TEXTS: tuple[Kind, ...] = ("text", "number", "label", "choice")  # written in pieces of text
SHAPES: tuple[ShapeKind, ...] = ("box", "point", "polygon")  # written in location tokens
LISTS: tuple[Kind, ...] = ("text", "number", "label", "image", *SHAPES)  # may hold many values


def as_one(columns: Iterable[object]) -> str:
    """The name, as a template has it, of the column that several make."""
    return ", ".join(map(str, columns)).replace("{", "{{").replace("}", "}}")


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
        default="",
        min_length=1,
        description="The column that holds it; may contain {language}, the tag of the row's "
        "language.",
        examples=["caption_{language}"],
    )
    columns: tuple[ColumnName, ...] | None = Field(
        default=None,
        description="A single box or point only, in place of `column`: the columns of its numbers.",
        examples=[["xmin", "ymin", "xmax", "ymax"]],
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
    missing: Literal["drop", "allow"] | None = Field(
        default=None,
        description="What becomes of a row whose value is missing or empty, which otherwise is a "
        "bad row. `drop`: the row is left out and counted, and so are the empty values of a list "
        "beside others. `allow`: nothing stands in the slot (for what only the source reads: an "
        "image that not all rows have).",
        examples=["drop"],
    )
    layout: Layout | None = Field(
        default=None,
        description="Boxes only, and mandatory there: two corners, a corner and a size, or a "
        "centre and a size.",
        examples=["xywh"],
    )
    units: Literal["pixels", "relative"] | None = Field(
        default=None,
        description="Boxes, points and polygons only, and mandatory there: pixels of the image, "
        "or fractions of it.",
        examples=["pixels"],
    )
    size: tuple[ColumnName, ColumnName] | None = Field(
        default=None,
        description="Shapes in pixels only: the columns of the width and the height of the image "
        "that they were drawn on, where the images on disk may be larger or smaller.",
        examples=[["width", "height"]],
    )
    orientation: Orientation | None = Field(
        default=None,
        description="Shapes only: whether they are places of the image as EXIF turns it (upright), "
        "or of the pixels as its file stores them (upright unless given).",
        examples=["stored"],
    )
    clip: bool | None = Field(
        default=None,
        description="Shapes only: whether what lies a pixel or more beyond the edge of the image "
        "is cut off there; otherwise it is an error.",
        examples=[True],
    )
    empty: bool | None = Field(
        default=None,
        description="Lists of shapes only: whether a row may have none, and an answer be empty.",
        examples=[True],
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

    @model_validator(mode="after")
    def _one_column(self) -> FieldSpec:
        """Several columns are read as one, whose name says theirs."""
        if self.columns and not self.column:
            object.__setattr__(self, "column", as_one(self.columns))  # it is frozen
        return self

    @property
    def in_codes(self) -> bool:
        """Whether the model meets it as codes of the image tokenizer."""
        return self.kind == "image_codes" or self.as_ == "codes"
