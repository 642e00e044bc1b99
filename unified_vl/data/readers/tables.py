"""Tables of text between separators: every cell as text, of the columns that a spec needs."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from unified_vl.data.readers.delimited import (
    SEPARATORS,
    Delimited,
    DelimitedFile,
    separator_of,
)
from unified_vl.data.readers.indexed import IndexedRows, RowIndex
from unified_vl.data.readers.reader import Source
from unified_vl.data.readers.table import Table
from unified_vl.errors import UserError


def read_csv(source: Source) -> Table:
    """Every cell as text: `no`, `NA` and `007` are values that a guess would spoil."""
    data = source.spec.data
    return _read(source, Delimited(data.delimiter or ",", True, data.encoding or "utf-8"))


def read_tsv(source: Source) -> Table:
    """As CSV, between tabs and without quoting: a line is a row, whatever it holds."""
    return _read(source, Delimited("\t", False, source.spec.data.encoding or "utf-8"))


def _read(source: Source, how: Delimited) -> Table:
    path, data = source.path, source.spec.data
    file = DelimitedFile(path, how)
    records = file.records()
    names: Sequence[str] = data.columns or ()
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
        elif data.on_bad_row == "skip":
            bad.append(count - 1)
            index.skip(record.end)
        else:
            raise _other_width(file, record.line, record.cells, names)
    if bad:
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
