"""Errors that speak to the person whose input was wrong.

A `UserError` is one message with the place and the remedy; the command line prints
it without a traceback and exits with code 2. `TrainingEnded` and its kin are a training
that ends early for a known reason, each with an exit code. Anything else that escapes is
a bug.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

WRONG_INPUT = 2
# also those that turn the direction of all that follows in a line
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
HUNG = 5  # the exit code of a training that stood still; no exception can end that
COPIES: dict[str, str] = {}  # by the path of a copy: the URL of which it is one, for messages


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
        self.message = of_originals(message)
        self.file = None if file is None else of_originals(str(file))
        self.line = line
        self.field = field
        self.expected = expected
        self.nearest = nearest
        super().__init__(self.message)

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


class TrainingEnded(Exception):
    """A training that ends before its last step, for a known reason.

    Attributes:
        exit_code: of the process.
        tells: whether this rank tells it; None where all ranks end with it and rank 0 does.
    """

    exit_code = 3
    tells: bool | None = None


class Stopped(TrainingEnded):
    """Somebody asked for it by a signal; a checkpoint was written."""

    exit_code = 0


class TrainingFault(TrainingEnded):
    """Going on would train something wrong; the weights are as the last good step left them."""


class DiskFull(TrainingEnded):
    """No room on the disk for what was to be written; what was there before is as it was."""

    exit_code = 4


class EndedElsewhere(TrainingEnded):
    """Another rank failed; this one ends with the same exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LostRank(TrainingEnded):
    """The connection to another rank broke: it was killed, or failed alone.

    Args:
        message: what is known.
        tells: whether this rank tells it, or another one of those that are left.
    """

    exit_code = 6

    def __init__(self, message: str, tells: bool = True) -> None:
        super().__init__(message)
        self.tells = tells


def of_originals(text: str) -> str:
    """A message that names remote files by their URLs, not by their copies."""
    for copy, url in COPIES.items():
        if copy in text:
            text = text.replace(copy, url)
    return text


def visible(text: object) -> str:
    """What is shown to people, with control characters of data written out (`\\u001b`), so that
    they do nothing to a terminal. Lines and tabs stay, and JSON means the same.

    >>> visible("red \\x1b[31mcat")
    'red \\\\u001b[31mcat'
    """
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def number_of(count: int, noun: str) -> str:
    """How many there are of something, in words that fit the number.

    >>> number_of(1, "new tag"), number_of(1200, "row"), number_of(2, "box")
    ('1 new tag', '1,200 rows', '2 boxes')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('x') else 's'}"
