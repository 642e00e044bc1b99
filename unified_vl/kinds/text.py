"""Text, in any script."""

from __future__ import annotations

from unified_vl.kinds.kind import Kind


class TextKind(Kind):
    """A text as it is."""

    name = "text"
    allows = ("text",)
    closed = True
    exchanged = True
    noises = ("span_corruption", "prefix_lm", "masking", "code_switch")
