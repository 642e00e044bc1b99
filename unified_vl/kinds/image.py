"""Images that the model reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_vl.kinds.kind import Kind
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
    exchanged = True
    writing = "nothing"
    reads = ("as_",)
