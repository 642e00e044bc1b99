"""What a reader is given, and how it says what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.data.readers.table import Table
from unified_vl.errors import nearest
from unified_vl.specs.reading.document import KeyPath
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec

MOST_NAMES, LONG_NAME = 50, 60  # of columns that a message lists

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Kept:
    """What a reader says beside the table: which rows of a file it gave, above all.

    Attributes:
        numbers: the place of each in the file, from 0; None for all of them.
        left_out: how many it left out, by what they lack: "lack their image".
        instead: what a file without a row of the task holds, for messages.
        nearest: what of that may be meant.
        links: folders outside the data root that links in a listed folder lead to, with the
            name of one of these links.
        files: the file of each row, relative to the data root, where they are in several.
        lost: how many things of rows it left out, by what they are: "objects of crowds".
    """

    numbers: Sequence[int] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    instead: str = ""
    nearest: str | None = None
    links: dict[Path, str] = field(default_factory=dict)
    files: Sequence[str] | None = None
    lost: Counter[str] = field(default_factory=Counter)


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
        root: the data root, which holds the files.
        images: the folder of the images, relative to it; empty where the spec names none.
        config: the configuration of a data set of the hub.
        kept: what a reader says beside the table.
    """

    spec: TaskSpec
    files: Mapping[str, Path]
    needed: Mapping[str, KeyPath]
    split: str
    language: str | None
    root: Path
    images: str = ""
    config: str | None = None
    kept: Kept = field(default_factory=Kept)

    @property
    def path(self) -> Path:
        """The first file, which stands for all in messages."""
        return next(iter(self.files.values()))

    def name(self, path: Path) -> str:
        """A file as rows name it: relative to the data root."""
        return path.relative_to(self.root).as_posix()

    def field_of(self, column: str) -> FieldSpec | None:
        """The field that reads a column; None where only another key of the spec names it."""
        place = self.needed[column]
        return self.spec.fields[str(place[1])] if place[0] == "fields" else None

    def lose(self, what: str, count: int) -> None:
        """Say that things of rows are left out."""
        if count:
            self.kept.lost[what] += count

    def may_lack(self, column: str) -> bool:
        """Whether no row of a file need have a column, since a field may be missing."""
        field = self.field_of(column)
        return field is not None and field.missing == "allow"

    def keep(self, numbers: Sequence[int], of: int, why: str) -> None:
        """Say which rows of a file the table holds, and what the others lack."""
        if len(numbers) < of:
            self.kept.numbers = numbers
            self.leave_out(of - len(numbers), why)

    def leave_out(self, count: int, why: str) -> None:
        """Say that rows, or what would have been some, are none of the table."""
        if count:
            self.kept.left_out[why] = self.kept.left_out.get(why, 0) + count

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
                    expected=None if close else f"one of {_some(known)}",
                    nearest=close,
                )


def _some(names: Sequence[str]) -> str:
    """Names of columns as a message lists them: of a file that is read wrongly, they are long."""
    shown = [name if len(name) <= LONG_NAME else f"{name[:LONG_NAME]}..." for name in names]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(shown[:MOST_NAMES])}{more}"


Reader = Callable[[Source], Table]


def place_type() -> pa.DataType:
    """An image in a file of others, as `data.images` reads it: where its bytes are."""
    import pyarrow as pa

    whole = pa.int64()
    return pa.struct({"file": pa.string(), "offset": whole, "size": whole, "base64": pa.bool_()})


def first_line(error: BaseException) -> str:
    """What a library's error says first."""
    return str(error).strip().split("\n", 1)[0]
