"""Parquet: row groups are read when a row of theirs is asked for, and the last ones kept.

A row group is the least that Parquet decodes. One that is too large to be kept is read through,
some rows at a time, whenever a row before the last one is asked for: slow in a random order, so
docs/readers.md says how large they should be.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.errors import UserError
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, begins, first_line
from unified_vl.readers.table import BLOCK, Table, values_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

KEPT_BYTES = 1 << 28  # of decoded row groups, over all files of a process
_BATCH_BYTES = 1 << 24  # decoded at once
_BUFFER = 1 << 20  # read from the disk at once


def read_parquet(source: Source) -> Table:
    """Only the columns that the spec names leave the disk."""
    table = ParquetTable(source.path, tuple(source.needed), source.part)
    source.require(table.known)
    if source.part is not None:
        source.kept.numbers = range(table.first, table.first + len(table))
    return table


class ParquetTable:
    """The rows of a file. Opening it reads no more than where its row groups are.

    Args:
        path: the file.
        names: the columns to read.
        part: which part of the row groups, from 0, and of how many parts; None for all.

    Attributes:
        known: all columns of the file.
        first: the place in the file, from 0, of the first row.

    Raises:
        UserError: when it is no Parquet file.
    """

    def __init__(
        self, path: Path, names: Sequence[str], part: tuple[int, int] | None = None
    ) -> None:
        self.path = path
        self.names = tuple(names)
        self._metadata: pq.FileMetaData | None = None
        with self._opened() as file:
            self._metadata = file.metadata
            self.known: list[str] = file.schema_arrow.names
            every = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        number, of = part or (0, 1)
        self._first = begins(number, of, len(every))  # row group
        groups = every[self._first : begins(number + 1, of, len(every))]
        self.first = sum(group.num_rows for group in every[: self._first])
        self._ends = list(accumulate(group.num_rows for group in groups))
        self._sizes = [_size_of(group, names) for group in groups]
        self._batch_rows = [
            max(1, min(BLOCK, group.num_rows * _BATCH_BYTES // max(1, size)))
            for group, size in zip(groups, self._sizes, strict=True)
        ]
        state = path.stat()
        self._key = (str(path), state.st_size, state.st_mtime_ns, self.names, self._first)
        self._reading: _Reading | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def take(self, places: Sequence[int]) -> dict[str, list[Any]]:
        by_group: dict[int, list[int]] = {}
        for position, place in enumerate(places):
            by_group.setdefault(bisect_right(self._ends, int(place)), []).append(position)
        found: dict[str, list[Any]] = {name: [None] * len(places) for name in self.names}
        # those at hand first: reading the others may push them out
        kept = {group: KEPT.get((*self._key, group)) for group in by_group}
        for group in sorted(by_group, key=lambda each: kept[each] is None):
            held = kept.pop(group)
            # from the last to the first, to be taken off the end
            left = sorted(by_group[group], key=lambda each: -int(places[each]))
            batches: Iterable[tuple[int, pa.RecordBatch]]
            if held is not None:
                batches = held
            elif self._is_large(group):
                batches = self._going_on(group, int(places[left[-1]]))
            else:
                batches = self._group(group)
            for first, batch in batches:
                here = []
                while left and int(places[left[-1]]) < first + len(batch):
                    here.append(left.pop())
                for name, values in found.items() if here else ():
                    value_of = values_of(batch.column(name))
                    for position in here:
                        values[position] = value_of(int(places[position]) - first)
                if not left and isinstance(batches, _Reading):
                    self._reading = batches
                    break
        return found

    def column(self, name: str) -> Iterator[Any]:
        for group in range(len(self._ends)):
            for batch in self._batches(group, (name,)):
                yield from map(values_of(batch.column(name)), range(len(batch)))

    def _is_large(self, group: int) -> bool:
        """Whether a row group will not be kept."""
        return self._sizes[group] > KEPT.most

    def _going_on(self, group: int, place: int) -> _Reading:
        """The reading of a row group where the last one stopped, or from its start."""
        # taken off, so that no two threads go on with one
        reading, self._reading = self._reading, None
        if reading is not None and reading.reaches(group, place):
            return reading
        return _Reading(group, self._group(group))

    def _group(self, group: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batches of a row group with the place of the first row of each; kept at the end."""
        first = self._ends[group - 1] if group else 0
        read: Batches = []
        size = 0
        for batch in self._batches(group, self.names):
            yield first, batch
            size += batch.nbytes
            if not self._is_large(group):
                read.append((first, batch))
            first += len(batch)
        if read:
            KEPT.put((*self._key, group), read, size)

    def _batches(self, group: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._opened() as file:
            yield from file.iter_batches(
                self._batch_rows[group],
                row_groups=[self._first + group],
                columns=list(names),
                use_threads=False,
            )

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # buffered, or a column of a row group would be read from the disk as a whole
            with pq.ParquetFile(
                self.path, metadata=self._metadata, buffer_size=_BUFFER, pre_buffer=False
            ) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            reason = first_line(error)
            raise UserError(f"is not a Parquet file: {reason}", file=self.path) from error


class _Reading:
    """A row group that is read through, and may be gone on with where it stopped: rows in their
    order would otherwise take time that grows with the square of their number.

    Args:
        group: its number.
        batches: the places of the first rows, and the rows.
    """

    def __init__(self, group: int, batches: Iterator[tuple[int, pa.RecordBatch]]) -> None:
        self.group = group
        self._batches = batches
        self._last: tuple[int, pa.RecordBatch] | None = None
        self._process = os.getpid()  # a fork shares the place in the file

    def reaches(self, group: int, place: int) -> bool:
        """Whether a row is in the last batch or behind it."""
        here = self.group == group and self._process == os.getpid()
        return here and self._last is not None and self._last[0] <= place

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        if self._last is not None:
            yield self._last
        for each in self._batches:
            self._last = each
            yield each


def _size_of(group: pq.RowGroupMetaData, names: Sequence[str]) -> int:
    """The bytes of some columns, not compressed."""
    columns = (group.column(number) for number in range(group.num_columns))
    return sum(
        column.total_uncompressed_size
        for column in columns
        if column.path_in_schema.partition(".")[0] in names or column.path_in_schema in names
    )


Batches = list[tuple[int, "pa.RecordBatch"]]


class RowGroups:
    """The row groups that were used last, up to a number of bytes.

    Args:
        most: how many bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[tuple[Any, ...], tuple[Batches, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...]) -> Batches | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: tuple[Any, ...], batches: Batches, size: int) -> None:
        with self._lock:
            if key in self._held:
                return
            self._held[key] = batches, size
            self._size += size
            while self._size > self.most:
                self._size -= self._held.popitem(last=False)[1][1]


KEPT = RowGroups(KEPT_BYTES)


PARQUET = Reader(
    "parquet",
    "Parquet files of any size. A row group is read when a row of it is asked for, and the "
    "last 256 MB of them are kept: for training, which takes rows in a random order, write "
    "groups of about 100 images (`row_group_size=100`), and of at most 64 MB.",
    read=read_parquet,
    parts=True,
)
