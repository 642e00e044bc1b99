"""Where the right choice stands among all: what Visual Dialog publishes (Das et al., 2017).

Ranks start at 1. NDCG is that of the challenge of 2018 and later (visualdialog.org): by how many
people find each choice fitting, cut behind as many choices as somebody does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.metric import Metric, plain_mean
from unified_vl.metrics.statistics import Floats, per_row
from unified_vl.metrics.texts.consistency import finish_consistency


def rank(ranking: Sequence[str], references: Sequence[str]) -> int:
    """The rank of the first right choice; behind all of them where it is not among them."""
    right = set(references)
    return next((n for n, text in enumerate(ranking, start=1) if text in right), len(ranking) + 1)


def ndcg(ranking: Sequence[str], relevance: Mapping[str, float]) -> float | None:
    """Normalised discounted cumulative gain, 0 to 1; None where nothing is relevant.

    The gain of a choice is its relevance, divided by log2(1 + rank); only so many places count as
    there are choices of any relevance.
    """
    best = sorted((value for value in relevance.values() if value), reverse=True)
    found = [relevance.get(text, 0.0) for text in ranking[: len(best)]]
    return _discounted(found) / _discounted(best) if best else None


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))


def _ranks(answers: Answers) -> list[int]:
    return list(map(rank, answers.predictions, answers.references))


def _ndcg_rows(answers: Answers) -> Floats:
    pairs = zip(answers.predictions, answers.relevances, strict=True)
    found = [None if relevance is None else ndcg(r, relevance) for r, relevance in pairs]
    values = [(0.0, 0.0) if value is None else (value, 1.0) for value in found]
    return np.asarray(values, np.float64).reshape(-1, 2)


METRICS = (
    Metric(
        name="recall",
        about="rows whose right choice is among the `top` (1) best of all choices: R@1, R@5 and "
        "R@10 of Visual Dialog",
        unit="%",
        rows=lambda answers: per_row([found <= answers.top for found in _ranks(answers)]),
        options=frozenset({"top"}),
        ranks=True,
        may_be_primary=False,
    ),
    Metric(
        name="mean_reciprocal_rank",
        label="MRR",
        about="mean of 1 / rank of the right choice among all, times 100",
        rows=lambda answers: per_row([1 / found for found in _ranks(answers)]),
        ranks=True,
        may_be_primary=False,
    ),
    Metric(
        name="mean_rank",
        about="mean rank of the right choice among all, from 1",
        bounds=(1.0, float("inf")),
        higher_is_better=False,
        rows=lambda answers: per_row(_ranks(answers)),
        finish=plain_mean,
        ranks=True,
        may_be_primary=False,
    ),
    Metric(
        name="ndcg",
        label="NDCG",
        about="normalised discounted cumulative gain of all choices by the relevance that people "
        "give each, behind as many places as there are relevant choices: that of Visual Dialog",
        rows=_ndcg_rows,
        finish=finish_consistency,
        options=frozenset({"relevance"}),
        ranks=True,
        only="with a relevant choice",
        may_be_primary=False,
    ),
)
