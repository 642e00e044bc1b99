"""A JSON file that is one list of objects: a row each."""

from __future__ import annotations

from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.json_files import read_items
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source
from unified_vl.readers.table import NO_TEXT, Columns, Table, holds_no_text


def read_json_list(source: Source) -> Table:
    """The columns that the spec names, whatever their values and those of others are.

    Unlike the lines of JSONL, items have no places in the file that could be gone back to: the
    named columns are held in memory.
    """
    columns: dict[str, list[Any]] = {name: [] for name in source.needed}
    names: dict[str, None] = {}
    count = 0
    for number, item in read_items(source.path, list):
        if not isinstance(item, dict):
            raise UserError(
                f"item {number} is no object", file=source.path, expected="a list of objects"
            )
        names.update(dict.fromkeys(name for name, value in item.items() if value is not None))
        for name, values in columns.items():
            value = item.get(name)
            values.append(NO_TEXT if holds_no_text(value) else value)
        count += 1
    if count:  # a file without rows lacks no column
        source.require([*names, *(n for n in columns if n not in names and source.may_lack(n))])
    return Columns(columns)


JSON = Reader(
    "json",
    "One JSON list of objects, a row each; for what else JSON files hold there are readers of "
    "their own. Values may be of any kind; the columns that the spec names are held in memory.",
    read=read_json_list,
)
