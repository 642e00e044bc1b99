"""Languages that a row names, read as the tags of the vocabulary."""

from __future__ import annotations

from unified_vl.kinds.kind import Kind


class LanguageKind(Kind):
    """The tag of a language."""

    name = "language"
    writing = "nothing"
    lists = False
    may_lack = False
