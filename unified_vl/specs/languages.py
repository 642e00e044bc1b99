"""Names of languages, for wordings that hold for all of them."""

from __future__ import annotations

from functools import cache


@cache
def language_name(tag: str) -> str:
    """The English name of a language tag (CLDR, by babel): `German` for `de`.

    A tag that CLDR does not know names itself.
    """
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(tag.replace("-", "_")).get_display_name("en")
    except (UnknownLocaleError, ValueError):
        return tag
    return name or tag
