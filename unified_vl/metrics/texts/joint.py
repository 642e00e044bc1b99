"""Rows that are right in two tasks: VCR's Q→AR (Zellers et al., arXiv 1811.10830, section 4)."""

from __future__ import annotations

import numpy as np

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.metric import Metric
from unified_vl.metrics.statistics import Floats
from unified_vl.metrics.texts.consistency import finish_consistency, right_rows


def joint_rows(answers: Answers) -> Floats:
    """Of each row whether it and its partner are right, and 1; two zeros without a partner."""
    pairs = zip(right_rows(answers), answers.partners, strict=True)
    values = [(0.0, 0.0) if other is None else (float(own and other), 1.0) for own, other in pairs]
    return np.asarray(values, np.float64).reshape(-1, 2)


METRICS = (
    Metric(
        name="joint_accuracy",
        about="rows that are right (as `accuracy`) and whose row of the same key is right in "
        "another task, by that task's primary score: VCR's Q→AR (Zellers et al., 2019); of the "
        "rows that both tasks have",
        unit="%",
        rows=joint_rows,
        finish=finish_consistency,
        options=frozenset({"with"}),
        only="whose key the other task, scored beside it, has too",
        may_be_primary=False,
    ),
)
