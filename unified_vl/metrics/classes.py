"""How well answers name the classes of rows: scores of counts, not means over rows.

N rows, C classes, R choices of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unified_vl.metrics.statistics import Floats
from unified_vl.metrics.text import normalise_case


def class_statistics(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None],
) -> Floats:
    """For each class, whether a row was predicted in it, is in it, and both: (N, 3 * C).

    The classes are those of the references (the first of each row), and one more for every
    answer that is none of them; case does not count.
    """
    found = list(map(normalise_case, predictions, languages))
    right = [
        normalise_case(answers[0], tag) for answers, tag in zip(references, languages, strict=True)
    ]
    number = {name: place for place, name in enumerate(sorted(set(right)))}
    other = len(number)
    found_N = np.asarray([number.get(name, other) for name in found], np.int64)
    right_N = np.asarray([number[name] for name in right], np.int64)
    classes_C = np.arange(other + 1)
    found_NC, right_NC = found_N[:, None] == classes_C, right_N[:, None] == classes_C
    return np.concatenate([found_NC, right_NC, found_NC & right_NC], axis=1).astype(np.float64)


def macro_f1(sums_RK: Floats) -> Floats:
    """The mean of the classes' F1, times 100.

    Only classes of the references count: an answer that names none is wrong in its row's class,
    and a class that no chosen row has or was given does not count.
    """
    found_RC, right_RC, both_RC = (part[:, :-1] for part in np.split(sums_RK, 3, axis=1))
    total_RC = found_RC + right_RC
    f1_RC = np.divide(2 * both_RC, total_RC, out=np.zeros_like(total_RC), where=total_RC > 0)
    return 100.0 * f1_RC.sum(axis=1) / np.maximum((total_RC > 0).sum(axis=1), 1)


def positive_statistics(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    languages: Sequence[str | None],
    positive: str,
) -> Floats:
    """Whether a row was predicted in the class `positive`, is in it, and both: (N, 3)."""
    rows = zip(predictions, references, languages, strict=True)
    said = [
        [normalise_case(text, tag) == normalise_case(positive, tag) for text in (found, right[0])]
        for found, right, tag in rows
    ]
    said_N2 = np.asarray(said, np.float64).reshape(-1, 2)
    return np.concatenate([said_N2, said_N2.prod(axis=1, keepdims=True)], axis=1)


def binary_f1(sums_RK: Floats) -> Floats:
    """F1 of one class, times 100; 0 where no row has it and none was given it."""
    found_R, right_R, both_R = sums_RK.T
    total_R = found_R + right_R
    return 100.0 * np.divide(2 * both_R, total_R, out=np.zeros_like(total_R), where=total_R > 0)


def matthews_correlation(sums_RK: Floats) -> Floats:
    """Matthews' correlation of any number of classes (Gorodkin, 2004), times 100.

    0 where all rows have one class or were given one.
    """
    found_RC, right_RC, both_RC = np.split(sums_RK, 3, axis=1)
    count_R = right_RC.sum(axis=1)
    above_R = both_RC.sum(axis=1) * count_R - (found_RC * right_RC).sum(axis=1)
    spread_R = (count_R**2 - (found_RC**2).sum(axis=1)) * (count_R**2 - (right_RC**2).sum(axis=1))
    return 100.0 * np.divide(
        above_R, np.sqrt(spread_R), out=np.zeros_like(above_R), where=spread_R > 0
    )
