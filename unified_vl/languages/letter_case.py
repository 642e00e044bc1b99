"""Upper and lower case made the same, as each language has them.

Unicode's case folding is the same for all languages; what its `SpecialCasing.txt` and `CaseFolding
.txt` (status T) say of single ones comes before it here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from unified_vl.languages.tags import script_of, subtags

# I is the capital of ı, and İ that of i
_DOTLESS = frozenset({"tr", "az", "crh", "gag"})
_DOTLESS_IN_LATIN = frozenset({"tt", "kk"})  # elsewhere their Latin words are foreign ones
_TURKIC = str.maketrans({"I": "ı", "İ": "i"})
# In Lithuanian i and j keep their dot below another accent; their capitals have none
_DOT_BELOW_ACCENT = re.compile("([ijIJ]\u0328?)\u0307(?=[\u0300\u0301\u0303])")


def fold_case(text: str, language: str | None = None) -> str:
    """The text with upper and lower case made the same, in NFC.

    `ß` is `ss` and a final `ς` is `σ` in every language.
    """
    composed = _own_rule(unicodedata.normalize("NFC", text), language)
    return unicodedata.normalize("NFC", composed.casefold())


def lower_case(text: str, language: str | None = None) -> str:
    """The text in lower case, in NFC."""
    return _own_rule(unicodedata.normalize("NFC", text), language).lower()


def _own_rule(text: str, language: str | None) -> str:
    rule = _rule_of(language) if language is not None else None
    if rule == "turkic":
        return text.translate(_TURKIC)
    if rule == "lithuanian":
        apart = unicodedata.normalize("NFD", text)
        return unicodedata.normalize("NFC", _DOT_BELOW_ACCENT.sub(r"\1", apart))
    return text


@cache
def _rule_of(language: str) -> str | None:
    main = subtags(language).language
    if main == "lt":
        return "lithuanian"
    latin = main in _DOTLESS_IN_LATIN and script_of(language) == "Latn"
    return "turkic" if latin or main in _DOTLESS else None
