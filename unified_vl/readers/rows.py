"""Rows of known columns to a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from unified_vl.errors import BadRow, UserError
from unified_vl.readers.columns import Column, ColumnType
from unified_vl.readers.source import Source, first_line
from unified_vl.readers.table import NO_TEXT, ArrowTable, Table, holds_no_text

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 16  # rows


def table_of(
    source: Source, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Column]
) -> Table:
    """A table of the columns that a source asks for.

    Args:
        source: what the rows are of.
        rows: a mapping a row; a column that it leaves out is empty there.
        columns: those of the format.

    Raises:
        UserError: for a column that the format does not have, or another kind of value.
    """
    import pyarrow as pa

    source.require(list(columns))
    needed = {column: arrow_type(columns[column].type) for column in source.needed}
    found: dict[str, list[pa.Array]] = {column: [] for column in needed}
    all_rows = iter(rows)
    # Python's objects take several times the room of Arrow's
    while block := list(islice(all_rows, _BLOCK)):
        for column, arrays in found.items():
            cells = [row.get(column) for row in block]
            try:
                arrays.append(pa.array(cells, needed[column]))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                broken = [n for n, cell in enumerate(cells) if holds_no_text(cell)]
                if broken:
                    number = sum(map(len, arrays)) + broken[0] + 1
                    where = f"{source.name(source.path)}:{number}"
                    raise BadRow(NO_TEXT.message, file=where, field=column) from error
                raise UserError(
                    f"holds another kind of value: {first_line(error)}",
                    file=source.path,
                    field=column,
                    expected=columns[column].about,
                ) from error
    whole = {c: pa.chunked_array(a, needed[c]) for c, a in found.items()}
    return ArrowTable(pa.table(whole))


def arrow_type(column: ColumnType) -> pa.DataType:
    """How a column is held in memory."""
    import pyarrow as pa

    number, text = pa.float64(), pa.string()
    types = {
        "text": text,
        "texts": pa.list_(text),
        "whole": pa.int64(),
        "number": number,
        "numbers": pa.list_(number),
        "image": text,
        "images": pa.list_(text),
        "box": pa.list_(number),
        "boxes": pa.list_(pa.list_(number)),
        "polygons": pa.list_(pa.list_(number)),
    }
    return types[column]
