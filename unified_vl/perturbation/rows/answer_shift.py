"""Answers that were rare in training are frequent, and the other way round.

As in VQA-CP (Agrawal et al., CVPR 2018, arXiv 1712.00377), whose splits have other answers to the
same questions, but without another split: the rows of the test split count more or less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unified_vl.perturbation.perturbation import SEVERITIES, RowWeighting
from unified_vl.specs.task import TaskSpec


class AnswerShift(RowWeighting):
    """The most frequent answer of training gets the share of the rarest one, and so on; a severity
    below the last is a part of the way there."""

    def lacks(self, spec: TaskSpec) -> str | None:
        field = spec.fields.get(spec.primary.against)
        if field is None or field.writing != "text":
            return "its answer is no text whose frequency could be counted"
        return "the task has no train split" if "train" not in spec.data.splits else None

    def weights(
        self, answers: Sequence[str | None], trained: Counter[str], severity: int
    ) -> npt.NDArray[np.float64] | None:
        rows = Counter(answer for answer in answers if answer is not None and trained[answer])
        if len(rows) < 2 or 2 * len(trained) > trained.total():
            return None  # nothing to reverse; or almost each training row says something else
        ordered = sorted(rows, key=lambda answer: (trained[answer], answer))
        counts = [trained[answer] for answer in ordered]
        share = dict(zip(ordered, reversed(counts), strict=True))
        by, known, total = severity / SEVERITIES, sum(rows.values()), sum(counts)
        reversed_N = [
            share.get(answer or "", 0) / total * known / max(rows[answer or ""], 1)
            for answer in answers
        ]
        return 1 - by + by * np.asarray(reversed_N)


PERTURBATIONS = (
    AnswerShift(
        "answer_shift",
        "Rows count as if the frequencies of answers in training were reversed.",
        "shift",
    ),
)
