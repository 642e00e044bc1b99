"""The values of a row: where each is stored, and what it means."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_vl.specs.document import Part

Kind = Literal["text", "image", "box", "language"]


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
