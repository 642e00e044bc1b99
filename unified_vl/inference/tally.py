"""What became of the rows of a file of answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unified_vl.inference.prediction import FLAGS


@dataclass
class Tally:
    """What became of the rows of a file.

    Attributes:
        rows: how many answers there are, messages among them.
        failed: how many are messages.
        reason: the first of these.
        flags: by flag (`prediction.FLAGS`) how many answers have it.
    """

    rows: int = 0
    failed: int = 0
    reason: str | None = None
    flags: Counter[str] = field(default_factory=Counter)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of an answers file."""
        self.rows += 1
        if row.get("error") is not None:
            self.failed += 1
            self.reason = self.reason or str(row["error"])
        self.flags.update(flag for flag in FLAGS if row.get(flag))

    def warnings(self) -> Iterator[str]:
        """What may be amiss with answers, a line a flag."""
        for flag, said in FLAGS.items():
            if self.flags[flag]:
                yield f"{self.flags[flag]} of {self.rows} answers are {said} ({flag})"
