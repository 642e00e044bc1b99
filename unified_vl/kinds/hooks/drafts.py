"""What `unified-vl new` asks the kinds of value: whether a column is theirs, what to write then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_CLASSES = 50
LONGEST_CLASS = 40  # characters


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a draft says of a column whose values are of a kind.

    Attributes:
        keys: of the field, beside those that all kinds have: for each what it may say, the
            likeliest first. Of several the one stays with which most rows can be read.
        why: what was guessed and from what; empty where that goes without saying.
    """

    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Draft:
    """What a draft says of a field that is to be written.

    Attributes:
        metrics: the scores, the first primary.
        allow: the grammar.
        max_tokens: room for an answer.
        request: what the model is asked where nothing but images says it.
    """

    metrics: tuple[str, ...]
    allow: str
    max_tokens: int
    request: str


def are_classes(values: Sequence[Any]) -> bool:
    """Whether values are few and short, each there several times."""
    distinct = set(values)
    return 2 <= len(distinct) <= min(MOST_CLASSES, len(values) // 2) and all(
        len(str(value)) <= LONGEST_CLASS for value in distinct
    )
