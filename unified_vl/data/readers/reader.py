"""What a reader is given, and how it says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.specs.document import KeyPath
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one split of a task, in one language where each has its own.

    Attributes:
        spec: the task.
        files: the files by their names in `specs.readers`; "path" for a single one. All
            exist.
        needed: every column that the spec reads, with the key that names it.
        split: what the data call the split.
        language: the language that the files are in; None where a column says.
    """

    spec: TaskSpec
    files: Mapping[str, Path]
    needed: Mapping[str, KeyPath]
    split: str
    language: str | None

    @property
    def path(self) -> Path:
        """The first file, which stands for all in messages."""
        return next(iter(self.files.values()))

    def require(self, known: Sequence[str]) -> None:
        """That each needed column is there, once.

        Raises:
            UserError: naming the key of the spec and the nearest column.
        """
        for column, place in self.needed.items():
            if known.count(column) > 1:
                raise self.spec.error(place, f"{str(self.path)!r} has the column {column!r} twice")
            if column not in known:
                close = nearest(column, known)
                raise self.spec.error(
                    place,
                    f"{str(self.path)!r} has no column {column!r}",
                    expected=None if close else f"one of {', '.join(known)}",
                    nearest=close,
                )


Reader = Callable[[Source], "pa.Table"]


def first_line(error: BaseException) -> str:
    """What a library's error says first."""
    return str(error).strip().split("\n", 1)[0]
