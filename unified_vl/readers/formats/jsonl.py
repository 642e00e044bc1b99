"""JSON Lines: every line is looked at once, and read again when its row is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from unified_vl.errors import UserError
from unified_vl.json_text import BOM, fast_json, parse_json, value_in
from unified_vl.readers.indexed import IndexedRows, RowIndex
from unified_vl.readers.kept_columns import KeptColumns
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, begins
from unified_vl.readers.table import NO_TEXT, Table, holds_no_text

_EXACT = 1 << 53  # whole numbers beyond 64 bits are floats to `orjson`; so are few others


def read_jsonl(source: Source) -> Table:
    """The columns that the spec names, whatever their values and those of others are."""
    path = source.path
    missing = set(source.needed)
    names: dict[str, None] = {}
    kept = KeptColumns(source.markers)
    with path.open("rb") as file:
        first, stop = _bytes_of(file, source.part)
        file.seek(first)
        start = first + len(BOM) if not first and file.read(len(BOM)) == BOM else first
        file.seek(start)
        index = RowIndex(start)
        end = start
        for number, line in enumerate(file, 1):
            if end >= stop:
                break
            end += len(line)
            row = _object(line, path, number, first)
            if row is None:
                index.skip(end)
                continue
            index.add(end)
            kept.add(row, end)
            if missing:  # a column that nobody has a value in is none
                missing.difference_update(n for n, value in row.items() if value is not None)
                names.update(dict.fromkeys(n for n, value in row.items() if value is not None))
        kept.close(end)
    if first:
        source.kept.part = f" from byte {first}"
    if len(index):  # a file without rows lacks no column
        source.require([*names, *filter(source.may_lack, missing)])
    return IndexedRows(path, source.needed, index, _values, kept)


def _values(line: bytes, names: Iterable[str]) -> dict[str, Any]:
    """What the object in a line has under some names."""
    try:
        row = orjson.loads(line)
        found = {name: row.get(name) for name in names}
        if all(type(value) is not float or abs(value) < _EXACT for value in found.values()):
            return found
    except ValueError:  # which a surrogate and a NaN are to it
        pass
    row = parse_json(line)
    found = {name: row.get(name) for name in names}
    return {n: NO_TEXT if holds_no_text(value) else value for n, value in found.items()}


def _bytes_of(file: BinaryIO, part: tuple[int, int] | None) -> tuple[int, float]:
    """Where the lines of a part begin, and where those of the next: parts have equal numbers of
    bytes, and a line is in the part of its first byte."""
    if part is None:
        return 0, math.inf
    number, of = part
    size = os.fstat(file.fileno()).st_size
    found = []
    for at in (begins(number, of, size), begins(number + 1, of, size)):
        file.seek(max(at - 1, 0))
        if at:
            file.readline()  # that of the last byte before
        found.append(file.tell())
    return found[0], found[1]


def _lines_before(path: Path, end: int) -> int:
    """How many lines end before a byte."""
    found = 0
    with path.open("rb") as file:
        while end > 0 and (content := file.read(min(end, 1 << 20))):
            found += content.count(b"\n")
            end -= len(content)
    return found


def _object(line: bytes, path: Path, number: int, first: int) -> dict[str, Any] | None:
    """The object in a line, by its number among those from a byte on; None for an empty one."""
    if not line.strip():
        return None
    try:
        return _parsed(line, path, number)
    except UserError:
        if not first:
            raise
        return _parsed(line, path, number + _lines_before(path, first))  # tells its place


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    row = value_in(line, path, number, fast_json)
    if not isinstance(row, dict):
        expected = "reader: json, for one list of all rows" if number == 1 else None
        raise UserError("is not an object", file=path, line=number, expected=expected)
    return row


JSONL = Reader(
    "jsonl",
    "A JSON object a line, in a file of any size: a line is read when its row is asked for. "
    "Values may be of any kind, also different ones in a column; columns that the spec does "
    "not name do not count.",
    read=read_jsonl,
    parts=True,
)
