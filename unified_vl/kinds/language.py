"""Languages that a row names, read as the tags of the vocabulary."""

from __future__ import annotations

from unified_vl.kinds.hooks.cells import Cell
from unified_vl.kinds.hooks.segments import Tag
from unified_vl.kinds.kind import Kind, Reading


class LanguageKind(Kind):
    """The tag of a language."""

    name = "language"
    asks = False
    names_language = True
    writing = "nothing"
    lists = False
    may_lack = False

    def read(self, cell: Cell, reading: Reading) -> tuple[Tag, ...]:
        return (Tag(f"language:{reading.tag_of(cell)}"),)
