"""What a metric is: how it scores answers, and all that others need to know of it.

Specs, `check`, `evaluate`, the report, `compare`, stop-and-go and docs/metrics.md read it from
here. A new metric is one file in a folder below with its functions and `METRICS`, a tuple of
these; outside the package `unified_vl.register_metric` takes one (docs/extending.md).

N rows, K statistics, R choices of rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from unified_vl.metrics.answers import Answers, Predicted, text_of
from unified_vl.metrics.equal_texts import matches
from unified_vl.metrics.statistics import Finish, Floats, RowStatistics, mean_of_rows, per_row

Option = Literal[
    "iou",
    "within",
    "implies",
    "group",
    "relevance",
    "keypoint",
    "area",
    "rest",
    "top",
    "positive",
    "read_by",
    "with",
]
"""Keys of a score that only some metrics look at."""
Rule = Callable[[Any, Sequence[Any], str | None], float]
"""The credit of one answer, 0 to 1: (answer, references, language)."""
Right = Callable[[Any, Sequence[Any], float, str | None], bool]
"""Whether one answer is right: (answer, references, threshold, language)."""
HALF = 0.5  # of the credit, from which an answer counts as right
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def equals_a_reference(
    answer: Any, references: Sequence[Any], threshold: float = 0.5, language: str | None = None
) -> bool:
    """Whether an answer is one of the references; texts are, but for Unicode's forms and spacing.

    Unless a metric says something else, such an answer counts as right.
    """
    if isinstance(answer, str):
        return matches(answer, references)
    return answer is not None and answer in references


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A score that a task spec may name.

    Attributes:
        name: what specs call it.
        label: how people write it; the name with spaces unless given.
        about: what it is, in a line or two.
        kinds: of the field that it compares with. `text` stands for all that is written as text.
        unit: `%` of a share of a hundred, `dB`, or nothing.
        bounds: the least and the most that it can be.
        higher_is_better: whether more is better.
        rows: the statistics of each row, (N, K), of which `finish` makes a score.
        finish: what sums of them score.
        whole: in place of `rows` the score of all answers, where that does not follow from sums
            over rows; it then has no interval. Raises ValueError where there is no row.
        by_language: whether each language is a corpus of its own; the score then is the
            mean of the languages', weighted by their numbers of rows.
        answer: what of a prediction is compared with the references.
        right: whether one answer counts as right, for lists of mistakes.
        references: `any`, the best of them counts; `agreeing`, it counts how many people agree;
            `all`, it compares all values of a row with all of the answer.
        options: the keys of a score that it reads.
        threshold: what `iou` or `within` are unless given.
        ranks: whether it compares all choices of a row, best first, in place of an answer.
        only: which rows count, where not all do: the statistics of the others are zeros, and the
            last of the statistics is 1 for one that counts.
        may_be_primary: whether it says how many answers are right, as a primary score does.
    """

    name: str
    about: str
    label: str = ""
    kinds: tuple[str, ...] = ("text",)
    unit: str = ""
    bounds: tuple[float, float] = (0.0, 100.0)
    higher_is_better: bool = True
    rows: Callable[[Answers], Floats] | None = None
    finish: Finish = mean_of_rows
    whole: Callable[[Answers], float] | None = None
    by_language: bool = False
    answer: Callable[[Predicted], Any] = text_of
    right: Right = equals_a_reference
    references: Literal["any", "agreeing", "all"] = "any"
    options: frozenset[Option] = frozenset()
    threshold: float = 0.5
    ranks: bool = False
    only: str = ""
    may_be_primary: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a metric: letters a-z, digits and _")
        if (self.rows is None) == (self.whole is None):
            raise ValueError(f"{self.name} needs either rows or whole")
        if unknown := self.options - set(get_args(Option)):
            raise ValueError(f"{self.name} has unknown options: {', '.join(sorted(unknown))}")
        object.__setattr__(self, "label", self.label or self.name.replace("_", " "))

    def measure(self, answers: Answers) -> RowStatistics:
        """All that the metric needs to know of the rows.

        Raises:
            TypeError: for a metric that needs the answers themselves (`whole`).
        """
        if self.rows is None:
            raise TypeError(f"{self.name} is no function of sums over rows")
        groups_N = _groups(answers.languages if self.by_language else [None] * len(answers))
        if not self.by_language or not len(answers):
            return RowStatistics(self.rows(answers), self.finish, groups_N)
        members = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
        parts = [self.rows(answers.of(rows.tolist())) for rows in members]
        values_NK = np.empty((len(answers), parts[0].shape[1]))
        values_NK[np.concatenate(members)] = np.concatenate(parts)
        return RowStatistics(values_NK, self.finish, groups_N)

    def score(self, answers: Answers) -> float:
        """The score of all rows.

        Raises:
            ValueError: when there is none.
        """
        return self.measure(answers).score() if self.whole is None else self.whole(answers)

    def is_right(
        self,
        answer: Any,
        references: Sequence[Any],
        threshold: float | None = None,
        language: str | None = None,
    ) -> bool:
        """Whether one row counts as right, by `threshold` or the metric's own."""
        by = self.threshold if threshold is None else threshold
        return self.right(answer, references, by, language)


def _groups(languages: Sequence[str | None]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each row, the same for rows of the same language."""
    numbers: dict[str | None, int] = {}
    found = [numbers.setdefault(language, len(numbers)) for language in languages]
    return np.asarray(found, np.int64)


def credit(rule: Rule) -> Callable[[Answers], Floats]:
    """The statistics of a mean of what `rule` gives each answer.

    Of several answers to it the best of the first `top` counts.
    """

    def rows(answers: Answers) -> Floats:
        rows = zip(answers.predictions, answers.references, answers.languages, strict=True)
        return per_row(
            [max(rule(one, r, tag) for one in _several(p, answers.top)) for p, r, tag in rows]
        )

    return rows


def _several(prediction: Any, top: int) -> Sequence[Any]:
    return prediction[:top] if isinstance(prediction, tuple) else (prediction,)


def half_credit(rule: Rule) -> Right:
    """An answer is right that has half of the credit."""
    return lambda answer, references, _, language: rule(answer, references, language) >= HALF


def plain_mean(sums_RK: Floats) -> Floats:
    """The mean over the rows of `per_row` as it is."""
    return sums_RK[:, 0] / sums_RK[:, 1]
