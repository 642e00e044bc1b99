"""What a run cannot do with tasks that are streamed, whose rows nobody counts."""

from __future__ import annotations

from unified_vl.specs.run import Run


def refuse_uncounted(run: Run) -> None:
    """That a run asks nothing of a streamed task that takes all its rows.

    Raises:
        UserError: at the key of the task's spec, or of the run.
    """
    for spec in run.loaded_mixture.specs:
        if not spec.data.stream:
            continue
        if run.epochs is not None:
            message = f"nobody counts the rows of {spec.task!r}, which is streamed"
            raise run.error(("epochs",), message, expected="steps")
        if run.batch_tokens is not None:
            message = f"nobody measures the rows of {spec.task!r} before, which is streamed"
            raise run.error(("batch_tokens",), message, expected="batch_size")
        if run.loaded_mixture.schedule.by == "rows":
            raise spec.error(
                ("data", "stream"),
                "the schedule of the mixture goes by rows, and nobody counts these",
                expected="by: batches, in the mixture",
            )
