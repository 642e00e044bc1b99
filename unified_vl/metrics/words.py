"""Sentences to words, in any language, without Java.

English follows the Penn Treebank as COCO's evaluation does (its PTBTokenizer, lower case,
then without punctuation); docs/scoring.md says exactly how, and where it differs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

import regex

from unified_vl.languages.letter_case import lower_case
from unified_vl.languages.tags import script_of, subtags

# scripts without spaces between words: Thai, Lao, Khmer, Burmese, Tibetan, Tai Tham, New Tai Lue
BY_CHARACTER = frozenset({"Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Talu"})
CHINESE = frozenset({"Hans", "Hant", "Hani", "Bopo"})
JAPANESE = frozenset({"Jpan", "Hrkt", "Hira", "Kana"})
KOREAN = frozenset({"Kore", "Hang"})
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
_RARE_HAN = regex.compile("[\u4db6-\u4dbf\u9fbc-\u9fff\U00020000-\U000323af]")
_LETTERS_BELOW = (  # of Khmer, and of Burmese and its neighbours
    r"\u1780-\u17b3\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070"
    r"\u1075-\u1081\u108e\uaa60-\uaa6f\uaa71-\uaa76\uaa7a\uaa7e\uaa7f\u1a20-\u1a54"
)
_NO_EXTENDERS = (  # vowels and tones of Burmese that stand alone, in UAX 29
    r"\u102b\u102c\u1038\u1062-\u1064\u1067-\u106d\u1083\u1087-\u108c\u108f\u109a-\u109c"
    r"\u1a61\u1a63\u1a64\uaa7b\uaa7d"
)
_CLUSTER = regex.compile(
    rf"""
      [\u0e00-\u109f\u1780-\u17ff\u1a20-\u1aaf\uaa60-\uaa7f]
      (?: (?<=[\u1039\u17d2\u1a60]) [{_LETTERS_BELOW}]
        | [[\p{{M}}\u0e33\u0eb3\u200c\u200d]--[{_NO_EXTENDERS}]]
      )*
    | \X
    """,
    regex.VERBOSE | regex.VERSION1,
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
    clean = " ".join(lower_case(text, language).translate(_QUOTES).split())
    return [token for token in _tokens(clean, language) if not _is_mark(token)]


def is_english(language: str | None) -> bool:
    """Whether the rules of English hold."""
    return language is None or subtags(language).language == "en"


@cache
def sacrebleu_name(language: str | None) -> str:
    """The sacrebleu tokenizer of a language, by the script that it is written in: `zh` for
    `zh_TW`, `zho_Hant` and Cantonese."""
    tag = language or "en"
    script, main = script_of(tag), subtags(tag).language
    if main == "ja" and script in JAPANESE:
        return "ja-mecab"
    if main == "ko" and script in KOREAN:
        return "ko-mecab"
    if script in CHINESE:
        return "zh"
    return "char" if script in BY_CHARACTER else DEFAULT


@cache
def sacrebleu_tokenizer(name: str) -> Callable[[str], str]:
    """A tokenizer of sacrebleu: words with spaces between them."""
    from sacrebleu.metrics.bleu import BLEU  # which loads the dictionaries of some languages

    split: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    return split


def apart(text: str) -> str:
    """Spaces around the Chinese characters that sacrebleu's `zh` does not know.

    It means those of Extension B, which Cantonese has many of, and names a range that holds
    none of them.
    """
    return _RARE_HAN.sub(r" \g<0> ", text)


def clusters(text: str) -> list[str]:
    """What a reader sees as one character, without spaces.

    These are Unicode's grapheme clusters (UAX 29). In the scripts without spaces the rule is
    spelt out here, since what belongs to one in Khmer and Burmese has changed with Unicode: a
    consonant below another (behind coeng or virama) belongs to it.
    """
    return [c for c in _CLUSTER.findall(text) if not c.isspace()]


def _tokens(text: str, language: str | None) -> list[str]:
    name = sacrebleu_name(language)
    if name == "char":
        return clusters(text)
    if name != DEFAULT:
        return sacrebleu_tokenizer(name)(apart(text) if name == "zh" else text).split()
    return _english(text) if is_english(language) else _TOKEN.findall(text)


def _english(text: str) -> list[str]:
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        parts = _SUFFIX.fullmatch(token) or _FUSED.fullmatch(token)
        tokens += [part for part in parts.groups() if part] if parts else [token]
    return tokens


def _is_mark(token: str) -> bool:
    """Whether a token is punctuation through and through."""
    return all(c not in KEPT and unicodedata.category(c).startswith("P") for c in token)
