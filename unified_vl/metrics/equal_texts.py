"""When two texts are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from unified_vl.languages.letter_case import fold_case


def normalise(text: str) -> str:
    """Unicode NFC, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def normalise_case(text: str, language: str | None = None) -> str:
    """As `normalise`, with upper and lower case made the same as the language has them."""
    return normalise(fold_case(text, language))


def matches(prediction: str, references: Sequence[str]) -> bool:
    """Whether the prediction equals any reference, but for Unicode's forms and spacing."""
    found = normalise(prediction)
    return any(found == normalise(reference) for reference in references)


def matches_in_any_case(
    prediction: str, references: Sequence[str], language: str | None = None
) -> bool:
    """As `matches`, case ignored."""
    found = normalise_case(prediction, language)
    return any(found == normalise_case(reference, language) for reference in references)
