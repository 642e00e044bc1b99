"""The bad rows of a training in its record, each once, however often it is resumed."""

from __future__ import annotations

from collections.abc import Mapping

from unified_vl.training.journal import Journal


class BadRows:
    """Lists rows that were skipped as `bad_row` events: task, `file:row`, what is wrong.

    Attributes:
        known: by task, `file:row` to what is wrong with it; JSON values, for checkpoints.
    """

    def __init__(self, journal: Journal) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self._journal = journal

    def note(self, step: int, task: str, skipped: Mapping[str, str]) -> None:
        """Those met in preparing step `step` (counted from 1; 0 for validation)."""
        known = self.known.setdefault(task, {}) if skipped else {}
        for row, problem in skipped.items():
            if row not in known:
                known[row] = problem
                self._journal.note("bad_row", step, task=task, row=row, problem=problem)

    def summarize(self) -> None:
        """One line and event a task with how many there were."""
        for task, rows in self.known.items():
            self._journal.skipped(task, rows)
