"""Tags of languages: one canonical form for all spellings, and their names.

A tag is read as BCP 47 (RFC 5646), and as POSIX and FLORES spell it: `zh_CN`, `pt-br`, `zho_Hans`,
`sr@latin` and `de_DE.UTF-8`. Aliases and likely subtags are those of CLDR, by babel (UTS 35,
"Canonical Unicode Locale Identifiers" and "Likely Subtags").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from unified_vl.errors import nearest

if TYPE_CHECKING:
    from babel import Locale

_MODIFIERS = {  # what follows @ in POSIX names of locales, where it is a script
    "latin": "Latn",
    "cyrillic": "Cyrl",
    "arabic": "Arab",
    "devanagari": "Deva",
    "hebrew": "Hebr",
    "iqtelif": "Latn",
}
_NO_SUBTAG = frozenset({"euro"})  # a modifier that says nothing about the language
_GRANDFATHERED = {"zh-min-nan": "nan", "zh-guoyu": "zh", "zh-hakka": "hak", "zh-xiang": "hsn"}
_BROADER = {"Hang": "Kore"}  # Korean: Hangul, with or without Chinese characters
_WITH_EXTLANGS = frozenset({"zh", "ar", "ms", "sw", "uz", "lv", "kok", "sgn"})


class Subtags(NamedTuple):
    """The parts of a tag: `zh`, `Hant`, `TW` and () of `zh-Hant-TW`; what it leaves out, None."""

    language: str
    script: str | None
    territory: str | None
    rest: tuple[str, ...]

    def __str__(self) -> str:
        return "-".join(part for part in (*self[:3], *self.rest) if part)


@cache
def subtags(tag: str) -> Subtags:
    """The parts of a tag, in any spelling, as it says them; old and long codes made the usual.

    `zho` and `cmn` are `zh`, `iw` is `he`, `sh` is `sr-Latn`, `zh-yue` is `yue`.
    """
    from babel.core import get_global

    name, _, modifier = tag.strip().partition("@")
    name = name.partition(".")[0].replace("_", "-").lower()  # without the codeset of POSIX
    first, *rest = _GRANDFATHERED.get(name, name).split("-")
    usual = get_global("language_aliases").get(first, first).split("_")
    while usual[0] in _WITH_EXTLANGS and rest and re.fullmatch("[a-z]{3}", rest[0]):
        first = rest.pop(0)
        usual = get_global("language_aliases").get(first, first).split("_")
    script = next((one for one in usual[1:] if len(one) == 4), None)
    territory = next((one for one in usual[1:] if len(one) == 2), None)
    if rest and re.fullmatch("[a-z]{4}", rest[0]):
        script = rest.pop(0).title()
    if rest and re.fullmatch(r"[a-z]{2}|\d{3}", rest[0]):
        territory = rest.pop(0).upper()
        territory = get_global("territory_aliases").get(territory, [territory])[0]
    modifier = modifier.lower()
    if modifier in _MODIFIERS:
        script = script or _MODIFIERS[modifier]
    elif re.fullmatch("[a-z0-9]{5,8}", modifier):
        rest.append(modifier)  # a variant
    elif modifier and modifier not in _NO_SUBTAG:
        rest += ["x", modifier]
    return Subtags(usual[0], script, territory, tuple(rest))


@cache
def canonical(tag: str) -> str:
    """One form for all spellings of a tag: `zh-CN` for `zh_CN`, `ar` for `arb_Arab`.

    A script that the language is usually written in is left out; a territory never is.
    """
    parts = subtags(tag)
    bare = parts._replace(script=None)
    likely = script_of(str(bare))
    usual = parts.script is not None and likely in (parts.script, _BROADER.get(parts.script))
    return str(bare if usual and subtags(str(bare)) == bare else parts)


@cache
def script_of(tag: str) -> str | None:
    """The script that a language is written in (ISO 15924): `Hant` of `zh-TW` and of `yue`.

    It is what the tag says, or the likely one; None of a language that CLDR does not know.
    """
    from babel.core import get_global

    language, script, territory, _ = subtags(tag)
    if script is not None:
        return script
    likely = get_global("likely_subtags")
    for key in (f"{language}_{territory}", language):
        if key in likely:
            return str(likely[key].split("_")[1])
    return None


def find(said: str, tags: Iterable[str]) -> str | None:
    """The one of `tags` that is the same language as `said`, in any spelling."""
    known = list(tags)
    if said in known:
        return said
    wanted = canonical(said)
    return next((tag for tag in known if canonical(tag) == wanted), None)


def distinct(tags: Iterable[str]) -> list[str]:
    """Each language once, in the first spelling of it."""
    known: dict[str, str] = {}
    for tag in tags:
        known.setdefault(canonical(tag), tag)
    return list(known.values())


def nearest_tag(said: str, tags: Iterable[str]) -> str | None:
    """The one of `tags` that is probably meant: of the same language, of that name, or alike."""
    known = list(tags)
    language, name = subtags(said).language, said.strip().lower()
    close = (tag for tag in known if subtags(tag).language == language)
    named = (
        tag
        for tag in known
        if name in (language_name(one).lower() for one in (tag, subtags(tag).language))
    )
    return next(close, None) or next(named, None) or nearest(said, known)


@cache
def language_name(tag: str) -> str:
    """The English name of a language tag (CLDR, by babel): `German` for `de`.

    A tag that CLDR does not know names itself. What models learned to read stays as it is: babel
    names a tag as it is spelt, where it can, so that `iw` is `Hebrew (Israel)`.
    """
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return display_name(tag, "en") or tag
    # of a modifier, and of the script of some long codes (`kas_Deva`), babel makes nothing
    right = "@" not in tag and locale.script in (None, script_of(tag))
    return (right and locale.get_display_name("en")) or display_name(tag, "en") or tag


def display_name(tag: str, language: str | None = None) -> str | None:
    """The name of a tag in a language (a code that CLDR has), or else in its own; None where
    CLDR has no name."""
    from babel import Locale

    said = subtags(tag)
    locale = locale_of(tag)
    if locale is not None:
        name = locale.get_display_name(language)
        names = Locale.parse(language).variants if language else locale.variants
        missing = [names.get(one.upper(), one) for one in said.rest if locale.variant is None]
        return f"{name} ({', '.join(missing)})" if name and missing else name
    name = Locale.parse(language or "en").languages.get(said.language)
    return name if name is None or said.rest == () else f"{name} ({', '.join(said.rest)})"


def locale_of(tag: str) -> Locale | None:
    """What CLDR knows of a tag, by babel: of its nearest locale; None where it has none."""
    from babel import Locale, UnknownLocaleError

    language, script, territory, rest = subtags(tag)
    places = [(script, territory, rest), (script, territory, ()), (script, None, ())]
    for parts in dict.fromkeys(places):
        name = "_".join(one for one in (language, parts[0], parts[1], *parts[2]) if one)
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return None
