"""Text files of which memory holds where each row begins, and nothing else."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from unified_vl.errors import UserError
from unified_vl.readers.kept_columns import KeptColumns

_EVERY = 64  # rows between two places that are held: for those between, only their lengths are
_LONGEST = (1 << 32) - 1  # bytes of a row
_AT_ONCE = 1 << 20  # bytes that are read at once, where rows follow each other
Parse = Callable[[bytes, Iterable[str]], Mapping[str, Any]]


class RowIndex:
    """Where the rows of a file begin, in about four bytes a row.

    Args:
        start: the byte at which the first one begins.
    """

    def __init__(self, start: int) -> None:
        self._starts = array("Q", [start])  # of rows 0, 64, 128, ...
        self._lengths = array("I")
        self._end = start

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, end: int) -> None:
        """A row that ends, with its empty lines, before the byte `end`."""
        if end - self._end > _LONGEST:
            raise ValueError("a row has more than 4 GiB")
        if self._lengths and not len(self._lengths) % _EVERY:
            self._starts.append(self._end)
        self._lengths.append(end - self._end)
        self._end = end

    def skip(self, end: int) -> None:
        """What lies up to the byte `end` belongs to no row."""
        if self._lengths:
            self._lengths[-1] += end - self._end
        else:
            self._starts[0] = end
        self._end = end

    def rows(self, file: BinaryIO) -> Iterator[bytes]:
        """All rows of the file, one after the other: none has a gap before it."""
        file.seek(self._starts[0])
        yield from map(file.read, self._lengths)

    def place(self, row: int) -> tuple[int, int]:
        """The first byte of a row, and how many it has."""
        block, rest = divmod(row, _EVERY)
        first = row - rest
        return self._starts[block] + sum(self._lengths[first:row]), self._lengths[row]


class IndexedRows:
    """The rows of a file, each parsed anew when it is asked for.

    Args:
        path: the file.
        names: the columns.
        index: where the rows are.
        parse: makes a row's values in some columns of its bytes.
        kept: columns that memory holds.
    """

    def __init__(
        self,
        path: Path,
        names: Iterable[str],
        index: RowIndex,
        parse: Parse,
        kept: KeptColumns | None = None,
    ) -> None:
        self.path = path
        self.names = tuple(names)
        self._index = index
        self._parse = parse
        self._kept = KeptColumns(()) if kept is None else kept

    def __len__(self) -> int:
        return len(self._index)

    def take(self, places: Sequence[int]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {name: [] for name in self.names}
        try:
            for content in self._contents(places):
                row = self._parse(content, self.names)
                for name, values in found.items():
                    values.append(row[name])
        except (ValueError, OSError) as error:
            raise self._changed(error) from error
        return found

    def column(self, name: str) -> Iterator[Any]:
        if name in self._kept:
            yield from self._kept.values(name)
            return
        names = (name,)
        try:
            with self.path.open("rb") as file:
                yield from (self._parse(row, names)[name] for row in self._index.rows(file))
        except (ValueError, OSError) as error:
            raise self._changed(error) from error

    def _changed(self, error: Exception) -> UserError:
        """What to say of a file that was right when it was opened."""
        return UserError(f"has changed while it was read: {error}", file=self.path)

    def _contents(self, places: Sequence[int]) -> Iterator[bytes]:
        """The bytes of rows; those that follow each other are read at once."""
        file = os.open(self.path, os.O_RDONLY)
        try:
            for first, lengths in self._runs(places):
                content = os.pread(file, sum(lengths), first)
                end = 0
                for length in lengths:
                    yield content[end : end + length]
                    end += length
        finally:
            os.close(file)

    def _runs(self, places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Where rows that follow each other begin, and the bytes of each."""
        first, lengths, total, next_row = 0, list[int](), 0, -1
        for row in map(int, places):
            start, length = self._index.place(row)
            if lengths and (row != next_row or total + length > _AT_ONCE):
                yield first, lengths
                lengths = []
            if not lengths:
                first, total = start, 0
            lengths.append(length)
            total, next_row = total + length, row + 1
        if lengths:
            yield first, lengths
