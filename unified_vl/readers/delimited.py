"""Text between separators: every cell as it stands, and the line at which a row is wrong."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unified_vl.errors import UserError

LARGEST_CELL = 1 << 28  # bytes, as of an image within a file of others
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_LONGEST_QUOTE = 1 << 24  # bytes of a row of several lines; more is a quote that never ends
_NEVER_ENDS = "a quote opens here and never ends"
_BLOCK = 1 << 20  # bytes read at a time where lines cannot be told apart before decoding
_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TEXT_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BOMS = {
    "utf-8": [(codecs.BOM_UTF8, "utf-8")],
    "utf-16": [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
    "utf-32": [(codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")],
}
csv.field_size_limit(LARGEST_CELL)  # 128 KiB by default, which the base64 of an image exceeds


@dataclass(frozen=True, slots=True)
class Delimited:
    """How the text of a file is cut into cells.

    Attributes:
        delimiter: what stands between cells.
        quoted: whether a cell may stand in quotes, as RFC 4180 has it, and then hold separators,
            line ends and, doubled, quotes; otherwise a line is a row, whatever it holds.
        encoding: the name of a text encoding; a mark of the byte order tells more of it.
        errors: what becomes of bytes that are none of it, as `bytes.decode` has it.
    """

    delimiter: str = ","
    quoted: bool = True
    encoding: str = "utf-8"
    errors: str = "strict"

    def cells(self, text: str) -> list[str]:
        """Those of the first row of a text, which empty lines may stand before."""
        text = text.strip("\r\n")
        lines = _TEXT_LINES.findall(text) if "\n" in text or "\r" in text else [text]
        if not self.quoted:
            return str(lines[0]).rstrip("\r\n").split(self.delimiter) if lines else []
        return next(csv.reader(lines, delimiter=self.delimiter, strict=True), [])


@dataclass(frozen=True, slots=True)
class Record:
    """A row of cells.

    Attributes:
        line: the line at which it begins, from 1.
        end: the byte behind it.
        cells: its values.
    """

    line: int
    end: int
    cells: list[str]


class DelimitedFile:
    """Reads a file row by row.

    Args:
        path: the file.
        how: what separates its values.

    Attributes:
        start: the byte at which its text begins.
        encoding: that of its bytes, the order of bytes told.
    """

    def __init__(self, path: Path, how: Delimited) -> None:
        self.path = path
        self.how = how
        self.start, self.encoding = _start(path, how.encoding)

    def decode(self, content: bytes) -> str:
        return content.decode(self.encoding, self.how.errors)

    def records(self) -> Iterator[Record]:
        """All rows; lines that are empty are none.

        Raises:
            UserError: for a line that is not of the encoding, or a quote that does not end, with
                the line where it opens.
        """
        yield from self._quoted() if self.how.quoted else self._unquoted()

    def _unquoted(self) -> Iterator[Record]:
        for number, end, text in self._lines():
            text = text.rstrip("\r\n")
            if text:
                yield Record(number, end, text.split(self.how.delimiter))

    def _quoted(self) -> Iterator[Record]:
        number, end = 0, self.start
        line, first = 1, self.start  # where the row begins

        def lines() -> Iterator[str]:
            nonlocal number, end
            for number, end, text in self._lines():
                if number > line and end - first > _LONGEST_QUOTE:
                    raise self._wrong(line, first, number, end, csv.Error("unexpected end"))
                yield text

        rows = csv.reader(lines(), delimiter=self.how.delimiter, strict=True)
        while True:
            line, first = number + 1, end
            try:
                cells = next(rows, None)
            except csv.Error as error:
                raise self._wrong(line, first, number, end, error) from error
            if cells is None:
                return
            if cells:
                yield Record(line, end, cells)

    def _wrong(self, line: int, first: int, last: int, end: int, error: csv.Error) -> UserError:
        """What to say of a row that begins at a line, and of which the last line makes no sense."""
        with self.path.open("rb") as file:
            file.seek(first)
            text = self.decode(file.read(min(end - first, LARGEST_CELL)))
        if last == line and "unexpected end" not in str(error):
            return UserError(f"is not CSV: {error}", file=self.path, line=line)
        ends = "unexpected end" not in str(error)
        return UserError(
            f"a quote opens here and ends within line {last}" if ends else _NEVER_ENDS,
            file=self.path,
            line=line + _opened_after(text, last - line if ends else None),
            expected='a quote at the end of the value, and "" for one within it',
        )

    def _lines(self) -> Iterator[tuple[int, int, str]]:
        """Each line with its number and the byte behind it."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            if self.encoding.startswith(("utf-16", "utf-32")):
                yield from self._wide_lines(file)
                return
            number, end = 0, self.start
            for raw in file:
                # a carriage return alone ends a line too
                several = raw.count(b"\r") > raw.endswith(b"\r\n")
                for line in _LINES.findall(raw) if several else (raw,):
                    number, end = number + 1, end + len(line)
                    try:
                        text = line.decode(self.encoding, self.how.errors)
                    except UnicodeDecodeError as error:
                        raise self._not_of_the_encoding(number) from error
                    yield number, end, text

    def _wide_lines(self, file: BinaryIO) -> Iterator[tuple[int, int, str]]:
        """Those of an encoding whose line ends are no bytes of their own."""
        decoder = codecs.getincrementaldecoder(self.encoding)(self.how.errors)
        number, end, left = 0, self.start, ""
        while True:
            block = file.read(_BLOCK)
            try:
                left += decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise self._not_of_the_encoding(number + 1) from error
            lines = _TEXT_LINES.findall(left)
            # the last one may go on, or a line feed follow its carriage return
            left = lines.pop() if block and lines else ""
            for line in lines:
                number, end = number + 1, end + len(line.encode(self.encoding))
                yield number, end, line
            if not block:
                return

    def _not_of_the_encoding(self, line: int) -> UserError:
        if self.how.encoding == "utf-8":
            return UserError(
                "is not UTF-8 text",
                file=self.path,
                line=line,
                expected="UTF-8, or its `data.encoding`, such as cp1252 or utf-16",
            )
        return UserError(f"is not {self.how.encoding} text", file=self.path, line=line)


def separator_of(lines: Sequence[str], but: str, width: int | None = None) -> str | None:
    """Another separator that the lines seem to have; of `width` cells each, where that is known."""
    for one in SEPARATORS:
        counts = {line.count(one) + 1 for line in lines}
        fits = min(counts, default=0) > 1 if width is None else counts == {width}
        if one != but and fits:
            return one
    return None


def _start(path: Path, encoding: str) -> tuple[int, str]:
    name = codecs.lookup(encoding).name.removesuffix("-sig")
    with path.open("rb") as file:
        head = file.read(4)
    for mark, precise in _BOMS.get(name, ()):
        if head.startswith(mark):
            return len(mark), precise
    return 0, f"{name}-le" if name in ("utf-16", "utf-32") else name


def _opened_after(text: str, before: int | None) -> int:
    """How many lines of a row stand before the quote that is at fault: the last one that opens,
    in one of the first `before` lines where that is known."""
    opened, inside, line = 0, False, 0
    for match in re.finditer(r'"|\r\n|\r|\n', text):
        if match[0] == '"':
            inside = not inside
            opened = line if inside and (before is None or line < before) else opened
        else:
            line += 1
    return opened
