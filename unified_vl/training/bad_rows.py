"""The bad rows and images of a training in its record, each once, however often it is resumed."""

from __future__ import annotations

from unified_vl.data.batching import Batch, Found
from unified_vl.training.record.journal import Journal


class BadRows:
    """Lists rows that were skipped as `bad_row` events: task, `file:row`, what is wrong.

    Attributes:
        known: by task, `file:row` to what is wrong with it; JSON values, for checkpoints.
        truncated: by task, the rows that were read though an image of theirs ends early; likewise.
    """

    def __init__(self, journal: Journal) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self.truncated: dict[str, list[str]] = {}
        self._journal = journal

    def note(self, step: int, batch: Batch, found: Found) -> None:
        """Those met in preparing a batch of step `step` (counted from 1; 0 for validation).

        Args:
            step: the step.
            batch: what was left out where its rows were chosen is noted.
            found: what any rank found in reading it.
        """
        task, skipped = batch.task, {**batch.skipped, **found.bad}
        truncated = self.truncated.setdefault(task, []) if found.truncated else []
        for row in found.truncated:
            if row not in truncated:
                truncated.append(row)
                self._journal.note("truncated_image", step, task=task, row=row)
        known = self.known.setdefault(task, {}) if skipped else {}
        for row, problem in skipped.items():
            if row not in known:
                known[row] = problem
                self._journal.note("bad_row", step, task=task, row=row, problem=problem)

    def summarize(self) -> None:
        """One line and event a task with how many there were, of either kind."""
        for task, rows in self.known.items():
            self._journal.skipped(task, rows)
        for task, truncated in self.truncated.items():
            self._journal.truncated(task, truncated)
