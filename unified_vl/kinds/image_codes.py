"""Images that the model writes, in codes of its image tokenizer."""

from __future__ import annotations

from typing import Any

from unified_vl.kinds.hooks.cells import Cell, items_of
from unified_vl.kinds.hooks.segments import ImageCodes
from unified_vl.kinds.kind import Kind, Reading


class ImageCodesKind(Kind):
    """An image in codes."""

    name = "image_codes"
    asks = False
    is_image = True
    reads_holes = True  # what is transparent of an image to be completed is what is missing
    noises = ("code_masking",)
    allows = ("image_codes",)
    writing = "codes"
    lists = False

    @property
    def json_schema(self) -> dict[str, Any]:
        codes = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        return {"anyOf": [{"type": "string", "contentMediaType": "image/*"}, codes]}

    def read(self, cell: Cell, reading: Reading) -> tuple[ImageCodes, ...]:
        return tuple(reading.in_codes(cell, item) for item in items_of(cell))
