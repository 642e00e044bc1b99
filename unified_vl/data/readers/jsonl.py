"""JSON Lines: every line is looked at once, and read again when its row is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_vl.data.readers.indexed import IndexedRows, RowIndex
from unified_vl.data.readers.json_text import fast_json, has_surrogates, parse_json
from unified_vl.data.readers.reader import Source
from unified_vl.data.readers.table import NO_TEXT, Table, holds_no_text
from unified_vl.errors import UserError

BOM = b"\xef\xbb\xbf"


def read_jsonl(source: Source) -> Table:
    """The columns that the spec names, whatever their values and those of others are."""
    path = source.path
    missing = set(source.needed)
    names: dict[str, None] = {}
    with path.open("rb") as file:
        start = len(BOM) if file.read(len(BOM)) == BOM else 0
        file.seek(start)
        index = RowIndex(start)
        end = start
        for number, line in enumerate(file, 1):
            end += len(line)
            row = _object(line, path, number)
            if row is None:
                index.skip(end)
                continue
            index.add(end)
            if missing:  # a column that nobody has a value in is none
                missing.difference_update(n for n, value in row.items() if value is not None)
                names.update(dict.fromkeys(n for n, value in row.items() if value is not None))
    if len(index):  # a file without rows lacks no column
        source.require([*names, *filter(source.may_lack, missing)])
    needed = tuple(source.needed)

    def parse(line: bytes) -> dict[str, Any]:
        row = parse_json(line)
        found = {name: row.get(name) for name in needed}
        if has_surrogates(line):
            found = {n: NO_TEXT if holds_no_text(v) else v for n, v in found.items()}
        return found

    return IndexedRows(path, needed, index, parse)


def _object(line: bytes, path: Path, number: int) -> dict[str, Any] | None:
    """The object in a line; None for an empty one."""
    try:
        row = fast_json(line)
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path, line=number) from error
    except ValueError as error:
        if not line.strip():
            return None
        raise UserError(f"is not JSON: {error}", file=path, line=number) from error
    if not isinstance(row, dict):
        raise UserError("is not an object", file=path, line=number)
    return row
