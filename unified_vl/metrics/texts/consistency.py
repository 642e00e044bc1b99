"""Consistency: whether answers agree with what follows from other answers (GQA, arXiv 1902.09506).

And whether all answers about the same are right: what NLVR2 (arXiv 1811.00491) calls consistency.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.equal_texts import matches_in_any_case
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats


def consistency(
    right: Sequence[bool], keys: Sequence[str], implied: Sequence[Sequence[str]]
) -> Floats:
    """The statistics of each row, (N, 2): its consistency and 1, or two zeros.

    A row counts that is right and implies others of these rows: with the share of them that
    are right too. As section 4.4 of the paper and its code; there, the implied questions are
    those of the whole split, here those that are scored.

    Args:
        right: whether each row's answer is right.
        keys: what each row is called.
        implied: the keys of the rows whose answers follow from each row's.
    """
    by_key = dict(zip(keys, right, strict=True))
    values_NK = np.zeros((len(keys), 2))
    for number, (fine, names) in enumerate(zip(right, implied, strict=True)):
        answered = [by_key[name] for name in names if name in by_key]
        if fine and answered:
            values_NK[number] = sum(answered) / len(answered), 1.0
    return values_NK


def group_accuracy(right: Sequence[bool], groups: Sequence[str]) -> Floats:
    """The statistics of each row, (N, 2): for the first of a group whether all are right, and 1.

    As the evaluation of NLVR2 has it for all rows with the same statement.

    Args:
        right: whether each row's answer is right.
        groups: what is the same for the rows of a group.
    """
    whole: dict[str, bool] = {}
    for fine, group in zip(right, groups, strict=True):
        whole[group] = whole.get(group, True) and fine
    values_NK = np.zeros((len(groups), 2))
    for number, group in enumerate(groups):
        if group in whole:
            values_NK[number] = float(whole.pop(group)), 1.0
    return values_NK


def finish_consistency(sums_RK: Floats) -> Floats:
    """The mean over the rows that count, times 100; 0 where none does, as in GQA's code."""
    counted_R = sums_RK[:, 1] > 0
    mean_R = np.divide(sums_RK[:, 0], sums_RK[:, 1], out=np.zeros(len(sums_RK)), where=counted_R)
    return 100.0 * mean_R


def right_rows(answers: Answers) -> list[bool]:
    """Whether each row's text is right, case ignored."""
    rows = zip(answers.predictions, answers.references, answers.languages, strict=True)
    return [matches_in_any_case(*row) for row in rows]


METRICS = (
    Metric(
        name="consistency",
        about="of rows with a right answer (as `accuracy`), the share of the rows that follow from "
        "them which are right too (Hudson and Manning, 2019); rows that are not scored cannot be "
        "looked at, so that GQA's published number needs all its questions, not the balanced ones",
        unit="%",
        rows=lambda answers: consistency(right_rows(answers), answers.keys, answers.implied),
        finish=finish_consistency,
        options=frozenset({"implies"}),
        may_be_primary=False,
    ),
    Metric(
        name="group_accuracy",
        about="the share of groups of rows whose answers are all right (as `accuracy`); NLVR2 "
        "(Suhr et al., 2019) calls it consistency, of the rows with the same statement",
        unit="%",
        rows=lambda answers: group_accuracy(right_rows(answers), answers.groups),
        finish=finish_consistency,
        options=frozenset({"group"}),
        may_be_primary=False,
    ),
)
