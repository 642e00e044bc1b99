"""Images that the model writes, in codes of its image tokenizer."""

from __future__ import annotations

from unified_vl.kinds.kind import Kind


class ImageCodesKind(Kind):
    """An image in codes."""

    name = "image_codes"
    noises = ("code_masking",)
    allows = ("image_codes",)
    writing = "codes"
    lists = False
