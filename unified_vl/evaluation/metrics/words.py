"""Sentences to words, in any language, without Java.

English follows the Penn Treebank as COCO's evaluation does (its PTBTokenizer, lower case,
then without punctuation); docs/metrics.md says exactly how, and where it differs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

import regex

BY_CHARACTER = frozenset({"th", "lo", "km", "my", "bo"})  # written without spaces
SACREBLEU = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"} | dict.fromkeys(BY_CHARACTER, "char")
DEFAULT = "13a"  # mteval-v13a, what sacrebleu uses for languages that write spaces
KEPT = frozenset("%&#@*/\\")  # Unicode calls them punctuation; the Treebank does not
_LETTER = r"[\p{L}\p{M}\p{N}\u200c\u200d]"  # the joiners are within words of Persian and Hindi
_TOKEN = regex.compile(
    rf"""
      (?:\p{{L}}\.){{2,}}                       # u.s.
    | \p{{N}}+(?:[.,:]\p{{N}}+)+                # 1,000  3.5  12:30
    | {_LETTER}+(?:[-'.]{_LETTER}+)*            # black-and-white  o'clock  example.com
    | '(?:s|m|d|re|ve|ll)\b                     # a suffix that stands alone
    | \S
    """,
    regex.VERBOSE,
)
_SUFFIX = regex.compile(r"(.+?)(n't|'s|'m|'d|'re|'ve|'ll)")
_FUSED = regex.compile(r"(can)(not)|(gon|wan)(na)|(got)(ta)|(lem|gim)(me)")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


def words_of(text: str, language: str | None) -> list[str]:
    """The words of a sentence in lower case, without punctuation.

    Args:
        text: one sentence, as people write it.
        language: its tag; None is taken for English.
    """
    clean = " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).lower().split())
    return [token for token in _tokens(clean, main_language(language)) if not _is_mark(token)]


def main_language(language: str | None) -> str:
    """`zh` of `zh-Hant`, and `en` of none."""
    return (language or "en").replace("_", "-").split("-")[0].lower()


def is_english(language: str | None) -> bool:
    """Whether the rules of English hold."""
    return main_language(language) == "en"


def sacrebleu_name(language: str | None) -> str:
    """The sacrebleu tokenizer of a language tag (`zh-Hant` counts as `zh`)."""
    return SACREBLEU.get(main_language(language), DEFAULT)


@cache
def sacrebleu_tokenizer(name: str) -> Callable[[str], str]:
    """A tokenizer of sacrebleu: words with spaces between them."""
    from sacrebleu.metrics import BLEU  # which loads the dictionaries of some languages

    split: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    return split


def _tokens(text: str, language: str) -> list[str]:
    if language in BY_CHARACTER:
        return [c for c in regex.findall(r"\X", text) if not c.isspace()]
    if language in SACREBLEU:
        return sacrebleu_tokenizer(SACREBLEU[language])(text).split()
    return _english(text) if language == "en" else _TOKEN.findall(text)


def _english(text: str) -> list[str]:
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        parts = _SUFFIX.fullmatch(token) or _FUSED.fullmatch(token)
        tokens += [part for part in parts.groups() if part] if parts else [token]
    return tokens


def _is_mark(token: str) -> bool:
    """Whether a token is punctuation through and through."""
    return all(c not in KEPT and unicodedata.category(c).startswith("P") for c in token)
