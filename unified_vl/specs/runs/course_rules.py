"""What of a run's course its other keys and its tasks do not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unified_vl.specs.run import Run


def refuse_unfit_course(run: Run) -> None:
    """That what ends a run early is measured.

    Raises:
        UserError: at the key that asks for it.
    """
    stopping = run.early_stopping
    if stopping is None:
        return
    if stopping.metric == "score" and not run.score_every:
        raise run.error(
            ("early_stopping", "metric"),
            "nothing is scored: score_every is 0",
            expected="score_every: 1 or more, or metric: loss",
        )
    if not run.validation_rows:
        raise run.error(
            ("early_stopping",),
            "nothing is measured: validation_rows is 0",
            expected="validation_rows: 1 or more",
        )
    if not any("validation" in spec.data.splits for spec in run.loaded_mixture.specs):
        raise run.error(
            ("early_stopping",),
            "nothing is measured: no task of the mixture has a validation split",
            expected="a validation split under data.splits of a task",
        )
