"""The first rows of a file that nothing is known of yet, as columns of values."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from unified_vl.authoring.drafting.files.recognised import recognised_rows
from unified_vl.errors import UserError
from unified_vl.image_formats import NAMED
from unified_vl.json_text import json_objects, parse_json
from unified_vl.languages.tags import canonical
from unified_vl.readers.annotation_tools.roboflow_classes import rows_of
from unified_vl.readers.compressed import open_unpacked
from unified_vl.readers.delimited import Delimited, DelimitedFile, separator_of
from unified_vl.readers.formats import webdataset
from unified_vl.readers.formats.translations import units
from unified_vl.readers.json_files import read_items
from unified_vl.readers.source import first_line

NOT_UTF8 = "is not UTF-8 text"
ROWS = 200  # enough to tell what a column holds
_LONGEST_LINE = 1 << 20  # bytes of a line of names
Columns = dict[str, list[Any]]  # values by column, None where a row has none
Read = Callable[[Path, str | None, str | None], Iterator[Mapping[str, Any]]]


def read_sample(reader: str, path: Path, encoding: str | None = None) -> Columns:
    """The first rows of a file.

    Args:
        reader: what reads it: jsonl, json, csv, tsv, parquet, arrow, webdataset, or one that
            recognises it.
        path: the file.
        encoding: of csv and tsv, where that is not UTF-8.

    Raises:
        UserError: when it cannot be read, or holds no row or no column.
    """
    found = list(islice(_rows(reader, path, None, encoding), ROWS))
    names = dict.fromkeys(name for row in found for name in row)
    if not names:
        raise UserError("holds no row", file=path, expected="at least one")
    return {name: [row.get(name) for row in found] for name in names}


def distinct_values(reader: str, path: Path, column: str, encoding: str | None = None) -> list[str]:
    """All values of a column, in the order of their first rows.

    Raises:
        UserError: when the file cannot be read.
    """
    rows = _rows(reader, path, column, encoding)
    return list(dict.fromkeys(str(row.get(column)) for row in rows))


def _rows(
    reader: str, path: Path, only: str | None, encoding: str | None
) -> Iterator[Mapping[str, Any]]:
    """All rows of a file, with one of their columns where it is named."""
    try:
        if reader in _READERS:
            yield from _READERS[reader](path, only, encoding)
        else:
            yield from recognised_rows(reader, path, only, ROWS if only is None else None)
    except UserError as error:
        if encoding is None and error.message == NOT_UTF8 and reader in ("csv", "tsv"):
            error.expected = "UTF-8, or what it is: --encoding cp1252, utf-16, ..."
        raise
    except UnicodeDecodeError as error:
        raise UserError(
            NOT_UTF8,
            file=path,
            expected="UTF-8",
        ) from error
    except (ValueError, OSError, RecursionError) as error:  # Arrow's errors are among these
        raise UserError(f"is no {reader} file: {first_line(error)}", file=path) from error


def _jsonl(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    yield from (row for _, row in json_objects(path))


def _json(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    yield from (item for _, item in read_items(path, list))


def delimiter_of(path: Path, encoding: str | None = None) -> str:
    """What stands between the values of a CSV file, by its line of names: a comma, unless that
    would make it one name and another separator several."""
    with path.open("rb") as file:
        text = file.read(_LONGEST_LINE).decode(encoding or "utf-8", "replace")
    names = next(csv.reader([text.partition("\n")[0]]), [])
    return (separator_of(names, ",") if len(names) == 1 else None) or ","


def _delimited(how: Delimited | None = None) -> Read:
    """Rows as the readers cut them; those of another width are left out.

    Args:
        how: how they are cut; None takes the separator from the file.
    """

    def read(path: Path, only: str | None, encoding: str | None) -> Iterator[Mapping[str, Any]]:
        cut = how or Delimited(delimiter_of(path, encoding))
        records = DelimitedFile(path, replace(cut, encoding=encoding or cut.encoding)).records()
        head = next(records, None)
        names = [] if head is None else head.cells
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"has the column {twice!r} twice", file=path, line=1)
        for record in records:
            if len(record.cells) == len(names):
                row = {n: cell or None for n, cell in zip(names, record.cells, strict=True)}
                yield row if only is None else {only: row.get(only)}

    return read


def _parquet(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = None if only is None else [only]
        for batch in file.iter_batches(batch_size=ROWS, columns=columns):
            yield from batch.to_pylist()


def _arrow(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        whole = file.read(6) == b"ARROW1"
        file.seek(0)
        opened = pa.ipc.open_file(file) if whole else pa.ipc.open_stream(file)
        batches = map(opened.get_batch, range(opened.num_record_batches)) if whole else opened
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                part = batch.slice(start, ROWS)
                yield from (part if only is None else part.select([only])).to_pylist()


def _webdataset(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    """Texts, the keys of JSON members, and the first bytes of images."""
    shard = open_unpacked(path)[0]
    with shard:
        for sample in webdataset.samples_of(path, shard):
            row: dict[str, Any] = {webdataset.KEY: sample.key}
            for extension, (start, size) in sample.members.items():
                shard.seek(start)
                row |= dict(_member(extension, shard.read(min(size, 1 << 20))))
            yield row


def _member(extension: str, content: bytes) -> Iterator[tuple[str, Any]]:
    kind = extension.rpartition(".")[2]
    if f".{kind}" in NAMED:
        yield extension, content
    elif kind == "json":
        value = parse_json(content)
        if isinstance(value, Mapping):
            yield from ((f"{extension}.{key}", each) for key, each in value.items())
    elif kind in webdataset.TEXTS:
        yield extension, content.decode("utf-8-sig").strip()
    else:
        yield extension, {kind: "a member that nothing reads"}


def _tmx(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    """The first text of a unit with each of its translations, in both directions."""
    for unit in units(path):
        for other in unit[1:]:
            for (_, source), (language, target) in ((unit[0], other), (other, unit[0])):
                yield {"source": source, "target": target, "language": canonical(language)}


def _classes(path: Path, only: str | None, _: str | None) -> Iterator[Mapping[str, Any]]:
    """Images and what is said of them: their lists of classes say the same."""
    for row in rows_of(path):
        yield {"image": row["image"], "said": row["said"]}


_READERS: dict[str, Read] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _delimited(),
    "tsv": _delimited(Delimited(delimiter="\t", quoted=False)),
    "parquet": _parquet,
    "arrow": _arrow,
    "webdataset": _webdataset,
    "tmx": _tmx,
    "roboflow_classes": _classes,
}
