"""Short columns of a text file that memory holds: keys, languages and splits, which all of its
rows are asked for right after it was opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 14  # values that are Python's until they are put together
_MOST = 10  # a column has at most one of so many bytes of its file
_KINDS = ({str, type(None)}, {int, type(None)})


class KeptColumns:
    """Columns as they are met, row by row; one that is large, or not of texts or whole numbers
    alone, is given up: its values are read from the file again.

    Args:
        names: the columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._pieces: dict[str, list[pa.Array]] = {name: [] for name in names}
        self._sizes = dict.fromkeys(self._pieces, 0)
        self._blocks: dict[str, list[Any]] = {name: [] for name in self._pieces}
        self._open = list(self._blocks.items())
        self._rows = 0

    def add(self, row: Mapping[str, Any], end: int) -> None:
        """The next row, which ends at a byte of the file."""
        for name, block in self._open:
            block.append(row.get(name))
        self._rows += 1
        if not self._rows % _BLOCK:
            self.close(end)

    def close(self, end: int) -> None:
        """Put the last values together; the file ends, for now, at a byte."""
        import pyarrow as pa

        for name, block in self._open:
            try:
                if not any(set(map(type, block)) <= kinds for kinds in _KINDS):
                    raise TypeError
                piece = pa.array(block)
            except (TypeError, ValueError, OverflowError):  # also half of a surrogate pair
                self._give_up(name)
                continue
            block.clear()
            self._pieces[name].append(piece)
            self._sizes[name] += piece.nbytes
            if self._sizes[name] * _MOST > max(end, 1 << 20):
                self._give_up(name)
        self._open = list(self._blocks.items())

    def _give_up(self, name: str) -> None:
        del self._blocks[name], self._pieces[name]

    def __contains__(self, name: str) -> bool:
        return name in self._pieces

    def values(self, name: str) -> Iterator[Any]:
        """All values of a column that is kept."""
        for piece in self._pieces[name]:
            yield from piece.to_pylist()
