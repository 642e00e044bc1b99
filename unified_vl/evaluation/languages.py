"""How a language is named and which way it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal


@dataclass(frozen=True, slots=True)
class Language:
    """For people: `ar` is Arabic, العربية, and runs from right to left."""

    tag: str
    english: str
    own: str
    direction: Literal["ltr", "rtl", "auto"]


@cache
def language_of(tag: str | None) -> Language:
    """What is known of a BCP 47 tag; of an unknown one no more than the tag itself."""
    from babel import Locale
    from babel.core import UnknownLocaleError

    try:
        locale = Locale.parse(tag or "", sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return Language(tag or "", tag or "", tag or "", "auto")
    direction: Literal["ltr", "rtl"] = "rtl" if locale.text_direction == "rtl" else "ltr"
    own = locale.get_display_name() or str(tag)
    return Language(
        str(tag), locale.get_display_name("en") or str(tag), own[:1].upper() + own[1:], direction
    )
