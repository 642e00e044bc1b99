"""The rows of a task: tables on disk, read through `datasets`.

A table is held in memory as Arrow, only the columns that the spec names of it:
nothing is written anywhere, so any number of processes may read the same files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.data.readers import READERS
from unified_vl.errors import nearest
from unified_vl.specs.document import KeyPath
from unified_vl.specs.task import SplitName, TaskSpec
from unified_vl.specs.template import fill

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, slots=True)
class Row:
    """The raw columns of one row, and where it is, so that bad data can be named.

    Attributes:
        columns: values by column name; None where the file has none.
        file: the file, relative to the data root.
        index: the place in the file, from 0.
        language: tag of the row's language, as the data say it.
    """

    columns: Mapping[str, Any]
    file: str
    index: int
    language: str | None

    @property
    def where(self) -> str:
        """`file:row`, rows counted from 1."""
        return f"{self.file}:{self.index + 1}"


@dataclass(frozen=True)
class _Part:
    """One file of a split."""

    table: Dataset
    file: str
    language: str | None


class TaskData:
    """The rows of one split of a task, by index.

    With one file a language, the files follow each other in the order of
    `data.languages`.

    Args:
        spec: the task.
        split: train, validation or test.
        root: the data root that the spec's path is relative to.

    Raises:
        UserError: when the split, a file or a column is missing, a file cannot be
            read, or there is no row at all.
    """

    def __init__(self, spec: TaskSpec, split: SplitName, root: Path) -> None:
        if split not in spec.data.splits:
            raise spec.error(
                ("data", "splits"),
                f"there is no split {split!r}",
                expected=" or ".join(spec.data.splits),
            )
        self.spec = spec
        self.split = split
        self.root = root
        self._parts = [
            _read_part(spec, root, file, language) for file, language in files(spec, split)
        ]
        self._ends = list(accumulate(len(part.table) for part in self._parts))
        if len(self) == 0:
            raise spec.error(("data", "path"), f"{split} holds no row", expected="at least one")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that a row has: those that the spec names."""
        return tuple(self._parts[0].table.column_names)

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), 256):
            yield from self.rows(range(start, min(start + 256, len(self))))

    def __getitem__(self, index: int) -> Row:
        return self.rows([index])[0]

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """The rows at `indices`, in that order, read as one batch from each file.

        Raises:
            IndexError: for an index outside 0 <= index < len.
        """
        by_part: dict[int, list[int]] = {}
        for position, index in enumerate(indices):
            by_part.setdefault(self._part_of(index), []).append(position)
        rows: dict[int, Row] = {}
        column = self.spec.data.language_column
        for number, positions in by_part.items():
            part = self._parts[number]
            start = self._ends[number] - len(part.table)
            local = [int(indices[position]) - start for position in positions]
            batch = part.table[local]
            names = list(batch)
            values = zip(*batch.values(), strict=True)
            for position, index, row in zip(positions, local, values, strict=True):
                columns = dict(zip(names, row, strict=True))
                language = part.language if column is None else columns[column]
                rows[position] = Row(columns, part.file, index, language)
        return [rows[position] for position in range(len(indices))]

    def distinct(self, column: str) -> Iterator[str]:
        """The texts of a column, each once a file; of lists of texts, their items."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for part in self._parts:
            if column not in part.table.column_names:
                continue  # a file of another language
            values = part.table.data.column(column)
            if pa.types.is_list(values.type):
                values = pc.list_flatten(values)
            yield from (str(v) for v in pc.unique(values).to_pylist() if v is not None)

    def by_language(self) -> dict[str | None, list[int]]:
        """The indices of the rows in each language, as the data say it."""
        found: dict[str | None, list[int]] = {}
        column = self.spec.data.language_column
        for end, part in zip(self._ends, self._parts, strict=True):
            start = end - len(part.table)
            if column is None:
                found.setdefault(part.language, []).extend(range(start, end))
                continue
            for index, language in enumerate(part.table[column][:], start):
                found.setdefault(language, []).append(index)
        return found

    def _part_of(self, index: int) -> int:
        for number, end in enumerate(self._ends):
            if 0 <= index < end:
                return number
        raise IndexError(f"row {index} of {len(self)}")


def files(spec: TaskSpec, split: SplitName) -> list[tuple[str, str | None]]:
    """The files of a split, relative to the data root, each with its one language.

    The language is None where a column names it.
    """
    data = spec.data
    name = data.splits[split]
    paths = {tag: fill(data.path, split=name, language=tag) for tag in data.languages}
    if len(set(paths.values())) == len(paths):
        return [(path, tag) for tag, path in paths.items()]
    return [(next(iter(paths.values())), None)]


def needed_columns(spec: TaskSpec, languages: Sequence[str]) -> dict[str, KeyPath]:
    """Every column that a spec reads, with the key that names it."""
    needed: dict[str, KeyPath] = {}
    for name, field in spec.fields.items():
        for language in languages:
            column = fill(field.column, language=language)
            needed.setdefault(column, ("fields", name, "column"))
    for key in ("language_column", "key_column"):
        column = getattr(spec.data, key)
        if column is not None:
            needed.setdefault(column, ("data", key))
    for name in spec.report_by:
        if name != "language":
            needed.setdefault(name, ("report_by",))
    return needed


def _read_part(spec: TaskSpec, root: Path, file: str, language: str | None) -> _Part:
    from datasets import Dataset
    from datasets.table import InMemoryTable

    path = root / file
    if path.is_dir():
        raise spec.error(("data", "path"), f"{str(path)!r} is a folder", expected="a file")
    if not path.is_file():
        raise spec.error(
            ("data", "path"), f"there is no file {str(path)!r}", nearest=_nearest_file(path)
        )
    languages = spec.data.languages if language is None else (language,)
    needed = needed_columns(spec, languages)
    table = READERS[spec.data.reader](path, spec, needed)
    # without the metadata by which `datasets` would decode images itself, unguarded;
    # one chunk a column: an index then is a place in memory, not a search
    table = table.replace_schema_metadata(None).combine_chunks()
    return _Part(Dataset(InMemoryTable(table)), file, language)


def _nearest_file(path: Path) -> str | None:
    if not path.parent.is_dir():
        return None
    return nearest(path.name, (p.name for p in path.parent.iterdir()))
