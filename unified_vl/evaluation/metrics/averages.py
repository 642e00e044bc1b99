"""The mean that every metric ends in."""

from __future__ import annotations

from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean.

    Raises:
        ValueError: when there is nothing to average: no rows have no score.
    """
    if not values:
        raise ValueError("there is nothing to score")
    return sum(values) / len(values)
