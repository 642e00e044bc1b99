"""What a check found: each kind of finding once, at its first place."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from unified_vl.errors import UserError

Severity = Literal["error", "warning"]
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\d+(\.\d+)?")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and how often.

    Attributes:
        severity: an error stops training; a warning spoils it.
        file: the spec, or the data file relative to the data root.
        line: line of a spec, from 1.
        row: row of a data file, from 1.
        field: dotted key of a spec, or column.
        message: what was found.
        expected: what would have been right.
        nearest: the known name that is closest.
        count: how many places have it; this is the first.
    """

    severity: Severity
    file: str | None
    line: int | None
    row: int | None
    field: str | None
    message: str
    expected: str | None
    nearest: str | None
    count: int = 1

    def __str__(self) -> str:
        error = UserError(
            self.message,
            file=self.file,
            line=self.line or self.row,
            field=self.field,
            expected=self.expected,
            nearest=self.nearest,
        )
        more = f" (and {self.count - 1} more like it)" if self.count > 1 else ""
        return f"{self.severity}: {error}{more}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Findings:
    """Collects findings; those that differ only in numbers and quoted words are one."""

    def __init__(self) -> None:
        self._first: dict[tuple[object, ...], UserError] = {}
        self._count: dict[tuple[object, ...], int] = {}

    def add(self, error: UserError, severity: Severity = "error") -> None:
        """Add an error; one without a line may name its row as `file:row`."""
        kind = _PARTICULARS.sub("*", error.message)
        key = (severity, _place(error)[0], error.line, error.field, kind)
        self._first.setdefault(key, error)
        self._count[key] = self._count.get(key, 0) + 1

    def all(self) -> tuple[Finding, ...]:
        """Errors first, each in the order found."""
        found = [
            self._finding("error" if key[0] == "error" else "warning", error, self._count[key])
            for key, error in self._first.items()
        ]
        return tuple(sorted(found, key=lambda finding: finding.severity != "error"))

    def _finding(self, severity: Severity, error: UserError, count: int) -> Finding:
        file, row = _place(error)
        return Finding(
            severity,
            file,
            error.line,
            row,
            error.field,
            error.message,
            error.expected,
            error.nearest,
            count,
        )


def _place(error: UserError) -> tuple[str | None, int | None]:
    """The file of an error, and its row where the file is given as `file:row`."""
    name, colon, row = (error.file or "").rpartition(":")
    if error.line is None and colon and row.isdigit():
        return name, int(row)
    return error.file, None
