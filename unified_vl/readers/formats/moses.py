"""Two files whose lines translate each other, as Moses, OPUS, WMT and IWSLT have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import unescape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import PAIRS
from unified_vl.readers.reader import Reader, Rows
from unified_vl.readers.source import Source

_SEGMENT = re.compile(r"\s*<seg\b[^>]*>(.*)</seg>\s*", re.IGNORECASE)


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file; only a line feed ends one.

    Raises:
        UserError: for the first line that is not UTF-8.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError("is not UTF-8 text", file=path, line=number) from error
            yield text.rstrip("\r\n")


def together(values: Mapping[Path, Iterable[str]], what: str) -> Iterator[tuple[str, ...]]:
    """The first of each file, then the second.

    Raises:
        UserError: when one has more of `what` than another.
    """
    counts = dict.fromkeys(values, 0)
    for row in zip_longest(*values.values()):
        for path, value in zip(values, row, strict=True):
            counts[path] += value is not None
        if None not in row:
            yield row
    (first, count), *others = counts.items()
    for path, other in others:
        if other != count:
            expected = f"{count}, as {first.name}"
            raise UserError(f"has {other} {what}", file=path, expected=expected)


def _aligned(
    sentences: Callable[[Path], Iterator[str]],
) -> Rows:
    def rows(source: Source) -> Iterator[dict[str, Any]]:
        files = source.files
        for row in together({path: sentences(path) for path in files.values()}, "sentences"):
            yield dict(zip(files, row, strict=True))

    return rows


def _tagged(path: Path) -> Iterator[str]:
    """Sentences among lines of tags: in <seg>, or on lines that begin with none."""
    for line in text_lines(path):
        segment = _SEGMENT.fullmatch(line)
        if segment is not None:
            yield unescape(segment[1]).strip()
        elif not line.lstrip().startswith("<"):
            yield line.strip()


MOSES = Reader(
    "moses",
    "Two text files, as OPUS and WMT have them: line n of one is a translation of line n of "
    "the other.",
    rows=_aligned(text_lines),
    files=("source", "target"),
    columns=PAIRS,
)
IWSLT = Reader(
    "iwslt",
    "Two files of IWSLT (WIT3) or WMT's SGM: the lines without a tag, or within `<seg>`, "
    "translate each other.",
    rows=_aligned(_tagged),
    files=("source", "target"),
    columns=PAIRS,
)
