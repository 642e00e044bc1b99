"""How right a short answer is: the credit of each row, 0 to 1."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from unified_vl.languages.letter_case import lower_case
from unified_vl.metrics.equal_texts import matches, matches_in_any_case, normalise
from unified_vl.metrics.metric import Metric, credit, half_credit
from unified_vl.metrics.words import is_english, words_of

ANLS_THRESHOLD = 0.5  # Biten et al., 2019
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def anls(prediction: str, references: Sequence[str], language: str | None = None) -> float:
    """Normalised Levenshtein similarity to the nearest reference (ANLS; Biten et al., 2019).

    Case and runs of white space do not count, and a similarity below 0.5 is worth nothing
    (exactly 0.5 counts, as in the official script; the paper's formula leaves it out).
    """
    found = normalise(lower_case(prediction, language))
    best = 0.0
    for reference in references:
        reference = normalise(lower_case(reference, language))
        longest = max(len(found), len(reference))
        distance = edit_distance(found, reference) / longest if longest else 0.0
        best = max(best, 1.0 - distance)
    return best if best >= ANLS_THRESHOLD else 0.0


def token_f1(prediction: str, references: Sequence[str], language: str | None) -> float:
    """Largest F1 of shared words with any reference (SQuAD; Rajpurkar et al., 2016)."""
    found = Counter(_squad_words(prediction, language))
    best = 0.0
    for reference in references:
        right = Counter(_squad_words(reference, language))
        if not found or not right:  # no words are right where there are none
            best = max(best, float(found == right))
            continue
        shared = (found & right).total()
        best = max(best, 2 * shared / (found.total() + right.total()))
    return best


def edit_distance(left: str, right: str) -> int:
    """Least number of characters to insert, delete or replace (Levenshtein)."""
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, start=1):
        current = [row]
        for column, b in enumerate(right, start=1):
            replaced = previous[column - 1] + (a != b)
            current.append(min(replaced, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def _squad_words(text: str, language: str | None) -> list[str]:
    """SQuAD's own words in English; elsewhere words without articles to leave out."""
    if is_english(language):
        bare = unicodedata.normalize("NFC", text).lower().translate(_ASCII_PUNCTUATION)
        return _ARTICLES.sub(" ", bare).split()
    return words_of(text, language)


METRICS = (
    Metric(
        name="exact_match",
        about="rows equal to any reference after Unicode NFC and with equal spacing; case counts",
        unit="%",
        rows=credit(lambda answer, references, _: matches(answer, references)),
        options=frozenset({"read_by"}),
    ),
    Metric(
        name="accuracy",
        about="as `exact_match`, case ignored in every script and as the language has it",
        unit="%",
        rows=credit(matches_in_any_case),
        right=half_credit(matches_in_any_case),
        options=frozenset({"read_by"}),
    ),
    Metric(
        name="anls",
        label="ANLS",
        about="1 − edit distance / longer length to the nearest reference, 0 below 0.5 (Biten et "
        "al., 2019)",
        rows=credit(anls),
        right=half_credit(anls),
    ),
    Metric(
        name="f1",
        label="F1",
        about="F1 of shared words with the best reference (SQuAD; Rajpurkar et al., 2016)",
        rows=credit(token_f1),
        right=half_credit(token_f1),
    ),
)
