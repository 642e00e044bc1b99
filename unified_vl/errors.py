"""Errors that speak to the person whose input was wrong.

A `UserError` is one message with the place and the remedy; the command line prints
it without a traceback and exits with code 2. Anything else that escapes is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Input that cannot be used, with all that is known about where and why.

    Args:
        message: what was found.
        file: the file at fault, if there is one.
        line: its line, counted from 1.
        field: the dotted name of the key or column at fault.
        expected: what would have been right.
        nearest: the known name that is closest to the one found.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        expected: str | None = None,
        nearest: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.expected = expected
        self.nearest = nearest
        super().__init__(message)

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        text = ": ".join(part for part in (place, self.field, self.message) if part)
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return text


class BadRow(UserError):
    """A row of data that breaks its spec; `on_bad_row: skip` skips and counts it."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
