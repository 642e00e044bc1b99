"""Table files to Arrow, only the columns that a spec needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.data.readers.annotations import read_json_lines
from unified_vl.data.readers.reader import Source, first_line
from unified_vl.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(source: Source) -> pa.Table:
    """Only the columns that the spec names leave the disk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = source.path
    try:
        source.require(pq.read_schema(path).names)
        return pq.read_table(path, columns=list(source.needed), memory_map=True, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"is not a Parquet file: {first_line(error)}", file=path) from error


def read_csv(source: Source) -> pa.Table:
    """Every cell as text: `no`, `NA` and `007` are values that a guess would spoil."""
    return _read_delimited(source, "CSV", newlines_in_values=True)


def read_tsv(source: Source) -> pa.Table:
    """As CSV, between tabs and without quoting: a line is a row, whatever it holds."""
    return _read_delimited(source, "TSV", delimiter="\t", quote_char=False)


def _read_delimited(source: Source, kind: str, **how: Any) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    path = source.path
    names = source.spec.data.columns
    bad: set[int] = set()  # lines, from 1, empty ones not counted

    def invalid(row: csv.InvalidRow) -> str:
        bad.add(row.number)
        return "skip" if kind == "TSV" and source.spec.data.on_bad_row == "skip" else "error"

    # several threads would not always know the number of a bad row
    read = csv.ReadOptions(use_threads=False, column_names=names)
    parse = csv.ParseOptions(**how, invalid_row_handler=invalid)
    try:
        with csv.open_csv(path, read_options=read, parse_options=parse) as head:
            known = head.schema.names
        source.require(known)
        convert = csv.ConvertOptions(
            column_types={name: pa.string() for name in source.needed},
            include_columns=list(source.needed),
        )
        table = csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"is not {kind}: {first_line(error)}", file=path) from error
    if bad:
        first = 1 if names else 2  # the line of the first row
        count = len(table) + len(bad)
        good = [place for place in range(count) if place + first not in bad]
        source.keep(good, count, "have more or fewer values than there are columns")
    return table


def read_jsonl(source: Source) -> pa.Table:
    """By Arrow's reader where it can, otherwise line by line."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    path = source.path
    # said outright, or a text that looks like a date would become one
    texts = [
        pa.field(column, pa.list_(pa.string()) if field.many else pa.string())
        for column in source.needed
        if (field := source.field_of(column)) is not None and field.kind == "text"
    ]
    options = arrow_json.ParseOptions(explicit_schema=pa.schema(texts))
    try:
        table = arrow_json.read_json(path, parse_options=options)
        table.validate(full=True)  # it takes any bytes for UTF-8
    except (pa.ArrowException, OSError):
        table = _read_jsonl_by_line(path)  # slower; numbers as texts, and exact errors
    if not len(table):
        return pa.table({name: pa.nulls(0) for name in source.needed})
    # a column that was only said outright, above, is empty throughout
    known = [name for name in table.column_names if table[name].null_count < len(table)]
    for name in source.needed:
        if name not in known and source.may_lack(name):  # as no row of this file has it
            known.append(name)
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table)))
    source.require(known)
    return table.select(list(source.needed))


def _read_jsonl_by_line(path: Path) -> pa.Table:
    import pyarrow as pa

    numbered = list(read_json_lines(path))
    numbers = [number for number, _ in numbered]  # the line of each
    rows = [row for _, row in numbered]
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise _mixed(values, numbers, path, name, error) from error
    return pa.table(arrays)


def _mixed(
    values: Sequence[object], numbers: Sequence[int], path: Path, field: str, error: BaseException
) -> UserError:
    """The first value of a column that is of another kind than the one before it."""
    first: str | None = None
    for value, number in zip(values, numbers, strict=True):
        kind = _KINDS.get(type(value))
        if kind is None:
            continue
        first = first or kind
        if kind != first:
            return UserError(
                f"found {kind}, and {first} in the lines before",
                file=path,
                line=number,
                field=field,
                expected="one kind of value in a column",
            )
    return UserError(f"mixes kinds of values: {first_line(error)}", file=path, field=field)


_KINDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}
