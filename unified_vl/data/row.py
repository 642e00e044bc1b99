"""One row of a task as its files have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """The raw columns of one row, and where it is, so that bad data can be named.

    Attributes:
        columns: values by column name; None where the file has none.
        file: the file, relative to the data root.
        index: the place in the file, from 0.
        language: tag of the row's language, as the data say it.
        images: the folder that its image paths are relative to, below the data root.
    """

    columns: Mapping[str, Any]
    file: str
    index: int
    language: str | None
    images: str = ""

    @property
    def where(self) -> str:
        """`file:row`, rows counted from 1."""
        return f"{self.file}:{self.index + 1}"

    def key(self, column: str | None) -> str:
        """What names it in predictions: the value of a column, else its place."""
        value = None if column is None else self.columns.get(column)
        return self.where if value is None else str(value)
