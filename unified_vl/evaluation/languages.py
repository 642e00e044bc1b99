"""How a language is named and which way it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from unified_vl.languages.tags import canonical, display_name, language_name, script_of

_FROM_THE_RIGHT = frozenset(  # scripts in use that Unicode gives the direction R or AL
    ("Adlm", "Arab", "Aran", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi")
)


@dataclass(frozen=True, slots=True)
class Language:
    """For people: `ar` is Arabic, العربية, and runs from right to left."""

    tag: str
    english: str
    own: str
    direction: Literal["ltr", "rtl", "auto"]

    @property
    def bcp47(self) -> str:
        """What a page calls it (`lang`), where `zh_CN` and `sr@latin` are no languages."""
        return canonical(self.tag)


@cache
def language_of(tag: str | None) -> Language:
    """What is known of a tag in any spelling; of an unknown one no more than the tag itself."""
    if not tag:
        return Language("", "", "", "auto")
    script = script_of(tag)
    direction: Literal["ltr", "rtl", "auto"] = "rtl" if script in _FROM_THE_RIGHT else "ltr"
    own = display_name(tag) or tag
    own = own if own == tag else own[:1].upper() + own[1:]
    return Language(tag, language_name(tag), own, direction if script else "auto")
