"""One row of a task as its files have it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from unified_vl.errors import BadRow
from unified_vl.files import is_absolute, path_below
from unified_vl.readers.table import Unreadable


@dataclass(frozen=True, slots=True)
class Row:
    """The raw columns of one row, and where it is, so that bad data can be named.

    Attributes:
        columns: values by column name; None where the file has none, `Unreadable` where it
            cannot be read.
        file: the file, relative to the data root.
        index: the place in the file, from 0.
        language: tag of the row's language, as the data say it.
        images: the folder that its image paths are relative to, below the data root.
        prefix: what absolute image paths begin with, in place of that folder.
        linked: files and folders outside the data root that its spec leads to by a link.
        given: the fields whose names whoever gave the values used, by column; of rows of data,
            which have columns alone, there are none.
    """

    columns: Mapping[str, Any]
    file: str
    index: int
    language: str | None
    images: str = ""
    prefix: str = ""
    linked: tuple[Path, ...] = ()
    given: Mapping[str, str] | None = None

    def named(self, column: str) -> str:
        """What whoever gave the values of a column calls it."""
        return column if self.given is None else self.given.get(column, column)

    @property
    def where(self) -> str:
        """`file:row`, rows counted from 1."""
        return f"{self.file}:{self.index + 1}"

    def key(self, column: str | None) -> str:
        """What names it in predictions: the value of a column, else its place."""
        value = None if column is None else self.columns.get(column)
        return self.where if value is None or isinstance(value, Unreadable) else str(value)

    def image(self, value: Any) -> Any:
        """What holds an image; a path of it is relative to the data root, or absolute.

        Raises:
            BadRow: for an absolute path that does not begin with the prefix.
        """
        if not isinstance(value, str):
            return value
        if is_absolute(value):
            if not self.prefix:
                return value
            below = _below(value, self.prefix)
            if below is None:
                expected = f"a path below data.image_prefix, {self.prefix!r}"
                raise BadRow(f"found the image {value!r}", file=self.where, expected=expected)
            value = below
        return path_below(self.images, value)


class OneValue(Row):
    """What was given by itself, and is no row of a file: its place is what `file` says."""

    __slots__ = ()

    @property
    def where(self) -> str:
        return self.file


def check_readable(row: Row, column: str | None = None) -> None:
    """That the values of a row could be read, or that of one column.

    Raises:
        BadRow: for one that could not.
    """
    for name in row.columns if column is None else (column,):
        value = row.columns[name]
        if isinstance(value, Unreadable):
            raise BadRow(
                value.message, file=row.where, field=row.named(name), expected=value.expected
            )


def _below(path: str, folder: str) -> str | None:
    """A path relative to a folder; None where it is not below it."""
    if not folder.startswith("/") or path.startswith("\\"):  # of Windows: either slash will do
        path, folder = path.replace("\\", "/"), folder.replace("\\", "/")
    whole = PurePosixPath(posixpath.normpath(path))
    if not whole.is_relative_to(posixpath.normpath(folder)):
        return None
    return whole.relative_to(posixpath.normpath(folder)).as_posix()
