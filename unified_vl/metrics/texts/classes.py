"""How well answers name the classes of rows: scores of counts, not means over rows.

N rows, C classes, R choices of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.equal_texts import matches_in_any_case, normalise_case
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats


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


def _classes(answers: Answers) -> Floats:
    return class_statistics(answers.predictions, answers.references, answers.languages)


def _one_class(answers: Answers) -> Floats:
    rows = answers.predictions, answers.references, answers.languages
    return positive_statistics(*rows, answers.positive)


def _right(answer: str, references: Sequence[str], _: float, language: str | None) -> bool:
    return matches_in_any_case(answer, references, language)


METRICS = (
    Metric(
        name="macro_f1",
        label="macro F1",
        about="mean over the classes (the references' texts) of their F1; an answer that names "
        "no class is wrong; case ignored",
        rows=_classes,
        finish=macro_f1,
        right=_right,
    ),
    Metric(
        name="binary_f1",
        label="F1 of a class",
        about="F1 of one class, `positive`; 0 where no row has it or was given it, as in "
        "scikit-learn; case ignored; GLUE's second number of QQP",
        rows=_one_class,
        finish=binary_f1,
        right=_right,
        options=frozenset({"positive"}),
    ),
    Metric(
        name="matthews_correlation",
        label="Matthews correlation",
        about="Matthews' correlation, also of several classes (Gorodkin, 2004), 100 × what "
        "scikit-learn prints; answers that name no class are one more class; 0 where all answers "
        "or all references are the same",
        bounds=(-100.0, 100.0),
        rows=_classes,
        finish=matthews_correlation,
        right=_right,
    ),
)
