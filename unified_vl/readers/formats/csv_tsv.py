"""Tables of text between separators: every cell as text, of the columns that a spec needs."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import Field

from unified_vl.errors import UserError, nearest
from unified_vl.parts import Problem
from unified_vl.readers.delimited import (
    SEPARATORS,
    Delimited,
    DelimitedFile,
    separator_of,
)
from unified_vl.readers.encodings import is_text_encoding, text_encodings
from unified_vl.readers.indexed import IndexedRows, RowIndex
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.table import Table


class TsvKeys(ReaderKeys):
    """What a text file is in."""

    encoding: str | None = Field(
        default=None,
        description="The encoding of a csv or tsv file, where that is not UTF-8: cp1252, latin-1, "
        "utf-16, gb18030, shift_jis and all others of Python that hold ASCII as it is.",
        examples=["cp1252"],
    )

    def problems(self) -> Iterator[Problem]:
        """That the encoding is one."""
        if self.encoding is not None and not is_text_encoding(self.encoding):
            yield Problem(
                ("data", "encoding"),
                f"found {self.encoding!r}",
                expected="the name of a text encoding, such as cp1252, utf-16 or gb18030",
                nearest=nearest(self.encoding.lower(), text_encodings()),
            )


class CsvKeys(TsvKeys):
    """The same, and what stands between its values."""

    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="What stands between the values of a csv file, where that is not a comma.",
        examples=[";"],
    )

    def problems(self) -> Iterator[Problem]:
        """That values can stand between the delimiter, too."""
        if self.delimiter in ('"', "\r", "\n"):
            message = f"found {self.delimiter!r}"
            yield Problem(("data", "delimiter"), message, expected="another character: ; or |")
        yield from super().problems()


def read_csv(source: Source) -> Table:
    """Every cell as text: `no`, `NA` and `007` are values that a guess would spoil."""
    keys = source.own(CsvKeys)
    return _read(source, Delimited(keys.delimiter or ",", True, keys.encoding or "utf-8"))


def read_tsv(source: Source) -> Table:
    """As CSV, between tabs and without quoting: a line is a row, whatever it holds."""
    return _read(source, Delimited("\t", False, source.own(TsvKeys).encoding or "utf-8"))


def _read(source: Source, how: Delimited) -> Table:
    path = source.path
    file = DelimitedFile(path, how)
    records = file.records()
    names: Sequence[str] = source.columns
    index = RowIndex(file.start)
    if not names:
        head = next(records, None)
        if head is None:
            raise UserError("is empty", file=path, expected="a line of names")
        names = head.cells
        index.skip(head.end)
        if not set(source.needed) <= set(names):
            _check_separator(file, names)
    source.require(names)
    count, bad = 0, []
    for count, record in enumerate(records, 1):
        if len(record.cells) == len(names):
            index.add(record.end)
        elif source.skips:
            bad.append(count - 1)
            index.skip(record.end)
        else:
            raise _other_width(file, record.line, record.cells, names)
    if bad:
        import numpy as np

        good = array("q", np.setdiff1d(np.arange(count), bad).tolist())
        source.keep(good, count, "have more or fewer values than there are columns")
    places = {name: names.index(name) for name in source.needed}

    def parse(content: bytes, names: Iterable[str]) -> Mapping[str, str]:
        cells = how.cells(file.decode(content))
        return {name: cells[places[name]] for name in names}

    return IndexedRows(path, places, index, parse)


def _check_separator(file: DelimitedFile, names: Sequence[str]) -> None:
    """That a line of one name is not one of several between other separators."""
    other = separator_of(names, file.how.delimiter) if len(names) == 1 else None
    if other is not None:
        raise _other_separator(file, 1, other)


def _other_width(
    file: DelimitedFile, line: int, cells: Sequence[str], names: Sequence[str]
) -> UserError:
    other = separator_of(cells, file.how.delimiter, len(names)) if len(cells) == 1 else None
    if other is not None:
        return _other_separator(file, line, other)
    count = "1 value" if len(cells) == 1 else f"{len(cells)} values"
    expected = f"{len(names)}: {', '.join(names)}"
    return UserError(f"found {count}", file=file.path, line=line, expected=expected)


def _other_separator(file: DelimitedFile, line: int, other: str) -> UserError:
    own, key = file.how.delimiter, f"`data.delimiter: {json.dumps(other)}`"
    if not file.how.quoted:
        key = "`reader: csv`" if other == "," else f"`reader: csv` with {key}"
    return UserError(
        f"its values stand between {SEPARATORS[other]}",
        file=file.path,
        line=line,
        expected=f"{SEPARATORS.get(own, repr(own))}, or {key}",
    )


CSV = Reader(
    "csv",
    "Comma-separated values below a line of names, or without one where `data.columns` names "
    "them; every value is text. `data.delimiter` says what stands between them in place of "
    "commas, `data.encoding` what the file is in place of UTF-8. `on_bad_row: skip` also "
    "leaves out rows with more or fewer values.",
    read=read_csv,
    named="sometimes",
    keys=CsvKeys,
)
TSV = Reader(
    "tsv",
    "Values between tabs below a line of names, or without one where `data.columns` names "
    "them; every value is text, and a quotation mark is one. `data.encoding` says what the "
    "file is in place of UTF-8. `on_bad_row: skip` also leaves out lines with more or fewer "
    "values.",
    read=read_tsv,
    named="sometimes",
    keys=TsvKeys,
)
