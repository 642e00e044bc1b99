"""What a reader is: a name, what it reads and gives, its own keys, and the function that reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal

from unified_vl.readers.columns import STATED_SIZE, Column
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.rows import table_of
from unified_vl.readers.source import Source
from unified_vl.readers.table import Table

Rows = Callable[[Source], Iterable[Mapping[str, Any]]]
Frequency = Literal["never", "sometimes", "always"]
PathKind = Literal["file", "folder", "either", "id"]


@dataclass(frozen=True, slots=True)
class Reader:
    """A format that `data.reader` of a task spec may name. Checks, messages, `new` and
    docs/readers.md come from it.

    Attributes:
        name: what a spec calls it.
        about: the format, in a sentence or some.
        rows: yields the rows, each a mapping by column; a column that it leaves out is empty
            there.
        read: in place of `rows`: makes the table itself, of data that memory does not hold, or
            that are no rows of known columns.
        columns: what it gives; None where the file itself says, and then it has `read`.
        files: names of its files under `data.files`; none for a reader of one `data.path`.
        optional: those of them that may be left out.
        path: what `data.path` names: a file, a folder, either, or the id of a data set.
        named: whether a file has no line of names and `data.columns` gives them: never,
            sometimes or always.
        images: whether `data.images` says where the images are: never, sometimes or always.
        parts: whether it can read a part of a file (`source.part`), which a stream may be dealt.
        own_splits: whether the files themselves tell splits apart, by what `data.splits` says.
        keys: the class of its own keys under `data`.
        recognises: whether `new` should draft it for a file; of a reader that says its `columns`,
            and reads what is in the file with its keys as they are by default. (How those of this
            package are told apart is known where specs are drafted.)
    """

    name: str
    about: str
    _: KW_ONLY
    rows: Rows | None = None
    read: Callable[[Source], Table] | None = None
    columns: Mapping[str, Column] | None = field(default=None, hash=False)
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    path: PathKind = "file"
    named: Frequency = "never"
    images: Frequency = "sometimes"
    parts: bool = False
    own_splits: bool = False
    keys: type[ReaderKeys] = ReaderKeys
    recognises: Callable[[Path], bool] | None = None

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.read is None):
            raise ValueError(f"the reader {self.name!r} has one of `rows` and `read`")
        if self.rows is not None and self.columns is None:
            raise ValueError(f"the reader {self.name!r} has `rows`, and so says its `columns`")
        if self.recognises is not None and not self.columns:
            raise ValueError(f"the reader {self.name!r} recognises files: it says its `columns`")

    @property
    def stated_size(self) -> tuple[str, ...]:
        """The columns in which it says how large the annotations say that an image is."""
        return tuple(STATED_SIZE) if set(STATED_SIZE) <= set(self.columns or ()) else ()

    def open(self, source: Source) -> Table:
        """The rows of files.

        Raises:
            UserError: when they are not of the format, or lack a column.
        """
        if self.read is not None:
            return self.read(source)
        assert self.rows is not None and self.columns is not None
        return table_of(source, self.rows(source), self.columns)
