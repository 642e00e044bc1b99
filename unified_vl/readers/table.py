"""Rows by their places: what a reader gives. Values are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from unified_vl.json_text import parse_json

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1024  # rows read at a time where all are


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a row for a value that cannot be read, so that only its row is lost."""

    message: str
    expected: str | None = None


NO_TEXT = Unreadable("is not UTF-8 text")


class Table(Protocol):
    """Rows of named columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""

    def __len__(self) -> int: ...

    def take(self, places: Sequence[int]) -> Mapping[str, Sequence[Any]]:
        """The values of some rows by column, in the order of `places`.

        A value is what JSON knows, bytes, or what else its file says; None for none, and
        `Unreadable` for what cannot be read.
        """

    def column(self, name: str) -> Iterator[Any]:
        """All values of a column, in the order of the rows."""


class ArrowTable:
    """Columns that Arrow holds, in memory or mapped from a file.

    They may be in pieces of any size: nothing is put together, which Arrow cannot above 2 GiB.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.names = tuple(table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, places: Sequence[int]) -> dict[str, list[Any]]:
        columns = zip(self.names, self.table.columns, strict=True)
        return {name: list(map(values_of(cells), places)) for name, cells in columns}

    def column(self, name: str) -> Iterator[Any]:
        for piece in self.table.column(name).chunks:
            yield from map(values_of(piece), range(len(piece)))


def values_of(cells: pa.ChunkedArray | pa.Array) -> Callable[[int], Any]:
    """What gives a value of an Arrow column, by its place, as Python's."""
    holds_json = _holds_json(cells.type)

    def value_of(place: int) -> Any:
        try:
            value = cells[int(place)].as_py()
            return _from_json(value) if holds_json else value
        except UnicodeDecodeError:  # Arrow and Parquet take any bytes for text
            return NO_TEXT
        except (ValueError, OverflowError) as error:  # such as a date after the year 9999
            return Unreadable(f"cannot be read: {error}")

    return value_of


def _holds_json(kind: pa.DataType) -> bool:
    """Whether there are JSON texts in a column: `datasets` stores values of mixed kinds so."""
    import pyarrow as pa

    if isinstance(kind, pa.JsonType):
        return True
    return any(_holds_json(kind.field(i).type) for i in range(kind.num_fields))


def _from_json(value: Any) -> Any:
    """The values of JSON texts, at any depth; of a column that has them, all texts are such."""
    if isinstance(value, str):
        try:
            return parse_json(value)
        except ValueError:  # `datasets` takes `007` for JSON too, and leaves it as it is
            return value
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value


class Columns:
    """Columns of Python's values, which may be of several kinds, and of Arrow's.

    Args:
        columns: equally long ones.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any] | pa.Array]) -> None:
        self.names = tuple(columns)
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def take(self, places: Sequence[int]) -> dict[str, list[Any]]:
        columns = self._columns.items()
        return {name: list(map(self._values(cells), places)) for name, cells in columns}

    def column(self, name: str) -> Iterator[Any]:
        cells = self._columns[name]
        yield from map(self._values(cells), range(len(cells)))

    @staticmethod
    def _values(cells: Any) -> Callable[[int], Any]:
        return cells.__getitem__ if isinstance(cells, Sequence) else values_of(cells)


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8, which half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def holds_no_text(value: Any) -> bool:
    """Whether there is a text in a value, at any depth, that cannot be written as UTF-8."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if not is_utf8(value):
                return True
        elif isinstance(value, Mapping):
            left += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            left += value
    return False
