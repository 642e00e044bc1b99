"""Images that the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from unified_vl.image_formats import holds_image
from unified_vl.kinds.hooks.cells import Cell, items_of
from unified_vl.kinds.hooks.drafts import Recognised
from unified_vl.kinds.hooks.segments import Image, ImageCodes
from unified_vl.kinds.kind import Kind, Reading
from unified_vl.parts import Part


class ImageKeys(Part):
    """What a field says of images."""

    as_: Literal["patches", "codes"] | None = Field(
        default=None,
        alias="as",
        description="Images only: read through the model's image branch, or as codes of the image "
        "tokenizer (patches).",
        examples=["codes"],
    )


class ImageKind(Kind):
    """An image, read through the model's image branch or as codes of its image tokenizer."""

    name = "image"
    asks = False
    is_image = True
    exchanged = True
    writing = "nothing"
    reads = ("as_",)

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        return Recognised() if all(map(holds_image, values)) else None

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "contentMediaType": "image/*", "contentEncoding": "data URL"}

    def read(self, cell: Cell, reading: Reading) -> tuple[Image | ImageCodes, ...]:
        if cell.field.as_ == "codes":
            return tuple(reading.in_codes(cell, item) for item in items_of(cell))
        return tuple(Image(reading.image(cell, item)) for item in items_of(cell))
