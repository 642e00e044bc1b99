"""In which scripts a language is written, and what of a text is in another.

The script of a character is that of Unicode's Script and Script_Extensions (UAX 24, by regex).
Numbers, punctuation, symbols and marks that several scripts share (Common, Inherited) belong to
every language.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import regex

from unified_vl.languages.tags import script_of

SHARED = r"\p{Script=Zyyy}\p{Script=Zinh}\p{N}\p{P}"
PARTS_OF_SCRIPTS = {  # ISO 15924 codes of several scripts, or of a script's style
    "Jpan": ("Hani", "Hira", "Kana"),
    "Hrkt": ("Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
    "Hans": ("Hani",),
    "Hant": ("Hani", "Bopo"),
    "Hanb": ("Hani", "Bopo"),
    "Aran": ("Arab",),
    "Cyrs": ("Cyrl",),
    "Geok": ("Geor",),
    "Jamo": ("Hang",),
    "Latf": ("Latn",),
    "Latg": ("Latn",),
    "Syre": ("Syrc",),
    "Syrj": ("Syrc",),
    "Syrn": ("Syrc",),
}


@cache
def scripts_of(tag: str) -> tuple[str, ...]:
    """The scripts (ISO 15924) that a language is written in, none where they are not known.

    >>> scripts_of("ja"), scripts_of("sr"), scripts_of("sr-Latn"), scripts_of("zh-TW")
    (('Hani', 'Hira', 'Kana'), ('Cyrl',), ('Latn',), ('Hani', 'Bopo'))
    """
    script = script_of(tag) or ""
    scripts = PARTS_OF_SCRIPTS.get(script, (script,))
    return scripts if all(map(_is_script, scripts)) else ()


def _is_script(code: str) -> bool:
    try:
        regex.compile(rf"\p{{Script={code}}}")
    except regex.error:
        return False
    return bool(code)


def class_of(scripts: Iterable[str]) -> str:
    """What a text in these scripts may hold, as the inside of a class of `regex`."""
    return SHARED + "".join(rf"\p{{Script_Extensions={code}}}" for code in scripts)


@cache
def _strange(scripts: tuple[str, ...]) -> regex.Pattern[str]:
    return regex.compile(rf"[^{class_of(scripts)}]+")


def strange_parts(text: str, tag: str) -> list[str]:
    """The runs of characters that the language is not written in; none of a language whose scripts
    are not known.

    >>> strange_parts("钥匙、 serpente 3", "zh"), strange_parts("鍵と Schlange", "de")
    (['serpente'], ['鍵と'])
    """
    scripts = scripts_of(tag)
    return _strange(scripts).findall(text) if scripts else []
