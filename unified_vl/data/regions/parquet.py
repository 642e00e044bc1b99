"""Parquet files: a row an image, with lists of numbers."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unified_vl.data.regions.record import KEYS, NAMES, RegionRecord, record_of
from unified_vl.errors import BadRow, UserError

MOST_BYTES = 1 << 30  # of a row group, which is held while its images are looked up


class ParquetStore:
    """A Parquet file, of which memory holds which row each image is, and one row group.

    Raises:
        UserError: for a file that is broken or lacks a column, or whose row groups are too large.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"is no Parquet file: {error}", file=path) from error
        names = set(self._file.schema_arrow.names)
        key = next((each for each in KEYS if each in names), None)
        if key is None:
            raise UserError("names no images", file=path, expected=f"a column {' or '.join(KEYS)}")
        self._columns: Mapping[str, str] = {
            what: name for what, known in NAMES.items() for name in reversed(known) if name in names
        }
        metadata = self._file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        largest = max((group.total_byte_size for group in groups), default=0)
        if largest > MOST_BYTES:
            raise UserError(
                f"has a row group of {largest:,} bytes",
                file=path,
                expected=f"at most {MOST_BYTES:,}",
            )
        self._ends = list(accumulate(group.num_rows for group in groups))
        self._rows: dict[str, int] = {}
        for batch in self._file.iter_batches(columns=[key]):
            for value in batch.column(0).to_pylist():
                self._rows.setdefault(str(value), len(self._rows))
        if len(self._rows) != metadata.num_rows:
            raise UserError("has an image again", file=path, field=key)
        self._lock = threading.Lock()
        self._held: tuple[int, frozenset[str], pa.Table] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def get(self, name: str, *, features: bool = True, labels: bool = False) -> RegionRecord:
        where = f"{self.path}, image {name!r}"
        row = self._rows[name]
        group = bisect_right(self._ends, row)
        try:
            table = self._group(group, features, labels)
        except (pa.ArrowException, OSError) as error:
            raise BadRow(f"cannot be read: {error}", file=where) from error
        place = row - (self._ends[group - 1] if group else 0)

        def get(key: str) -> Any:
            column = self._columns.get(key)
            if column is None:
                return None
            value = table.column(column)[place]
            return None if not value.is_valid else _array(value, column, where)

        return record_of(get, where, features=features, labels=labels)

    def _group(self, group: int, features: bool, labels: bool) -> pa.Table:
        left_out = {"features": not features, "labels": not labels}
        wanted = {name for what, name in self._columns.items() if not left_out.get(what)}
        with self._lock:
            if self._held is None or self._held[0] != group or wanted - self._held[1]:
                table = self._file.read_row_group(group, columns=sorted(wanted))
                self._held = group, frozenset(wanted), table
            return self._held[2]


def _array(value: pa.Scalar, column: str, where: str) -> Any:
    """Numbers of lists, without a Python object each.

    Raises:
        BadRow: for lists within of unlike lengths, or where one is missing.
    """
    if not isinstance(value, pa.ListScalar):
        return value.as_py()
    values = value.values
    rows = len(values)
    while _is_list(values.type):
        lengths = pc.list_value_length(values)
        if values.null_count or len(lengths.unique()) > 1:
            raise BadRow(f"has {column} whose lists differ in length", file=where)
        values = values.flatten()
    numbers = values.to_numpy(zero_copy_only=False)
    return numbers if len(numbers) == rows else numbers.reshape(rows, -1)


def _is_list(kind: pa.DataType) -> bool:
    """Also as other libraries write them."""
    types = pa.types
    return any(of(kind) for of in (types.is_list, types.is_large_list, types.is_fixed_size_list))
