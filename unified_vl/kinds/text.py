"""Text, in any script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unified_vl.kinds.hooks.cells import is_number
from unified_vl.kinds.hooks.drafts import Recognised
from unified_vl.kinds.kind import Kind


class TextKind(Kind):
    """A text as it is."""

    name = "text"
    allows = ("text",)
    closed = True
    exchanged = True
    free_text = True
    noises = ("span_corruption", "prefix_lm", "masking", "code_switch")

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        """Texts, and numbers that are none."""
        if all(map(is_number, values)):
            why = "these are numbers of classes; kind: label with names would write words"
            return Recognised(why=why)
        texts = all(isinstance(value, str) or is_number(value) for value in values)
        return Recognised() if texts else None
