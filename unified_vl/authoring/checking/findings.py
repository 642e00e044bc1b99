"""What a check found: each kind of finding once, at its first place."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from unified_vl.errors import BadRow, UserError

Severity = Literal["error", "warning"]
ROW_REMEDY = "mend the row, or leave such rows out by data.on_bad_row: skip"
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
        remedy: what to do about it, where the expectation does not say that.
        rate: the share of what was looked at that has it, where that was counted.
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
    remedy: str | None = None
    rate: float | None = None
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
        remedy = f"; remedy: {self.remedy}" if self.remedy else ""
        return f"{self.severity}: {error}{more}{remedy}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Findings:
    """Collects findings; those that differ only in numbers and quoted words are one."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Finding] = {}

    def add(
        self,
        error: UserError,
        severity: Severity = "error",
        *,
        remedy: str | None = None,
        rate: float | None = None,
        count: int = 1,
        apart: bool = False,
    ) -> None:
        """Add an error; one without a line may name its row as `file:row`.

        Args:
            error: what is wrong, and where.
            severity: whether it stops training or spoils it.
            remedy: what to do about it.
            rate: the share of what was looked at that has it.
            count: how many places have it, where it is added once for all of them.
            apart: whether what differs in a number or a quoted word is another finding: a count of
                its own would be lost.
        """
        file, row = _place(error)
        kind = error.message if apart else _PARTICULARS.sub("*", error.message)
        key = (severity, file, error.line, error.field, kind)
        known = self._found.get(key)
        if known is not None:
            self._found[key] = replace(known, count=known.count + count)
            return
        if remedy is None and isinstance(error, BadRow) and not (error.expected or error.nearest):
            remedy = ROW_REMEDY
        self._found[key] = Finding(
            severity,
            file,
            error.line,
            row,
            error.field,
            error.message,
            error.expected,
            error.nearest,
            remedy,
            rate,
            count,
        )

    def all(self) -> tuple[Finding, ...]:
        """Errors first, each in the order found."""
        return tuple(sorted(self._found.values(), key=lambda f: f.severity != "error"))


def _place(error: UserError) -> tuple[str | None, int | None]:
    """The file of an error, and its row where the file is given as `file:row`."""
    name, colon, row = (error.file or "").rpartition(":")
    if error.line is None and colon and row.isdigit():
        return name, int(row)
    return error.file, None


def share(count: int, of: int) -> str:
    """`3 of 200 rows (1.5 %)`."""
    percent = 100 * count / of
    said = f"{percent:.1f} %" if percent >= 0.1 or not count else "less than 0.1 %"
    return f"{count:,} of {of:,} rows ({said})"
