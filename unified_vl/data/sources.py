"""The rows of a task: tables on disk, read through `datasets`.

A table is held in memory as Arrow, only the columns that the spec names of it, and not
the images of archives: nothing is written anywhere (but what the reader `hub` downloads),
so any number of processes may read the same files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.data.exclusion import excluded_keys
from unified_vl.data.paths import existing, in_split, languages_apart
from unified_vl.data.readers.reader import Kept, Source
from unified_vl.data.readers.registry import READERS
from unified_vl.specs.data import SplitName
from unified_vl.specs.document import KeyPath
from unified_vl.specs.readers import READERS as READER_INFOS
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


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


@dataclass(frozen=True)
class _Part:
    """One file of a split, or the several that are read together.

    Attributes:
        table: the rows of the split.
        file: the file, relative to the data root; of several the first.
        language: what its rows are in; None where a column says.
        images: the folder of its images.
        numbers: the place of each row in the file; None where the table is all of it.
        kept: what the reader says of rows that it left out.
        excluded: how many rows `data.exclude` took from it.
    """

    table: Dataset
    file: str
    language: str | None
    images: str
    numbers: Sequence[int] | None
    kept: Kept
    excluded: int = 0


class TaskData:
    """The rows of one split of a task, by index.

    With one file a language, the files follow each other in the order of
    `data.languages`; files that one `*` stands for, in the order of their names.

    Args:
        spec: the task.
        split: train, validation or test.
        root: the data root that the spec's path is relative to.
        with_excluded: whether the train split has the rows that `data.exclude` names too.

    Raises:
        UserError: when the split, a file or a column is missing, a file cannot be
            read, or there is no row at all.
    """

    def __init__(
        self, spec: TaskSpec, split: SplitName, root: Path, *, with_excluded: bool = False
    ) -> None:
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
            part
            for tag in languages_apart(spec, split)
            for part in _read_parts(spec, split, root, tag)
        ]
        if split == "train" and not with_excluded:
            keys = excluded_keys(spec, root)
            self._parts = [_without(part, keys, spec.data.key_column) for part in self._parts]
        self._ends = list(accumulate(len(part.table) for part in self._parts))
        if len(self) == 0:
            without = "".join(f" ({n} {why})" for why, n in self.left_out.items())
            place = ("data", "files" if spec.data.path is None else "path")
            raise spec.error(place, f"{split} holds no row{without}", expected="at least one")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that a row has: those that the spec names."""
        return tuple(self._parts[0].table.column_names)

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows of the files are none of the task, by what they lack."""
        found: dict[str, int] = {}
        for part in self._parts:
            if part.kept.left_out:
                found[part.kept.why] = found.get(part.kept.why, 0) + part.kept.left_out
        return found

    @property
    def excluded(self) -> int:
        """How many rows `data.exclude` took away."""
        return sum(part.excluded for part in self._parts)

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
                place = index if part.numbers is None else part.numbers[index]
                rows[position] = Row(columns, part.file, place, language, part.images)
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
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return bisect_right(self._ends, index)


def needed_columns(spec: TaskSpec, languages: Sequence[str]) -> dict[str, KeyPath]:
    """Every column that a spec reads, with the key that names it."""
    needed: dict[str, KeyPath] = {}
    for name, field in spec.fields.items():
        for language in languages:
            column = fill(field.column, language=language)
            needed.setdefault(column, ("fields", name, "column"))
    for key in ("language_column", "key_column", "split_column"):
        column = getattr(spec.data, key)
        if column is not None:
            needed.setdefault(column, ("data", key))
    for name in spec.report_by:
        if name != "language":
            needed.setdefault(name, ("report_by",))
    for index, score in enumerate(spec.score):
        if score.column is not None:
            key, column = score.column
            needed.setdefault(column, ("score", index, key))
    return needed


def _read_parts(
    spec: TaskSpec, split: SplitName, root: Path, language: str | None
) -> Iterator[_Part]:
    said = spec.data.splits[split]
    languages = spec.data.languages if language is None else (language,)
    needed = needed_columns(spec, languages)
    images = in_split(spec, spec.data.images or "", split, language)
    config = in_split(spec, spec.data.config or "", split, language) or None
    for files in existing(spec, split, root, language):
        yield _read_part(Source(spec, files, needed, said, language, root, images, config))


def _read_part(source: Source) -> _Part:
    import pyarrow as pa
    from datasets import Dataset
    from datasets.table import InMemoryTable

    data = source.spec.data
    table = READERS[data.reader](source)
    kept = source.kept
    numbers = kept.numbers
    if data.split_column is not None:
        chosen = _rows_of_split(table, data.split_column, source.split)
        table = table.take(pa.array(chosen, pa.int64()))  # typed: there may be none
        numbers = chosen if numbers is None else [numbers[place] for place in chosen]
    if data.language_column is not None and data.language_names:
        table = _with_tags(table, data.language_column, data.language_names)
    # without the metadata by which `datasets` would decode images itself, unguarded
    table = table.replace_schema_metadata(None)
    if not READER_INFOS[data.reader].mapped:
        table = table.combine_chunks()  # an index then is a place in memory, not a search
    return _Part(
        Dataset(InMemoryTable(table)),
        source.name(source.path),
        source.language,
        source.images,
        numbers,
        kept,
    )


def _without(part: _Part, keys: Collection[str], column: str | None) -> _Part:
    """A part less the rows of these keys."""
    import pyarrow as pa
    from datasets import Dataset
    from datasets.table import InMemoryTable

    if not keys:
        return part
    table = part.table.data.table
    numbers = range(len(table)) if part.numbers is None else part.numbers
    known = column is not None and column in table.column_names
    values = table.column(column).to_pylist() if known else [None] * len(table)
    rows = (
        Row({column or "": v}, part.file, n, None) for v, n in zip(values, numbers, strict=True)
    )
    kept = [place for place, row in enumerate(rows) if row.key(column or "") not in keys]
    if len(kept) == len(table):
        return part
    return replace(
        part,
        table=Dataset(InMemoryTable(table.take(pa.array(kept, pa.int64())).combine_chunks())),
        numbers=[numbers[place] for place in kept],
        excluded=len(table) - len(kept),
    )


def _rows_of_split(table: pa.Table, column: str, name: str) -> list[int]:
    import numpy as np
    import pyarrow as pa

    values = table.column(column).cast(pa.string()).to_numpy(zero_copy_only=False)
    return [int(place) for place in np.flatnonzero(values == name)]


def _with_tags(table: pa.Table, column: str, names: Mapping[str, str]) -> pa.Table:
    """With the tags of languages in place of what the files call them."""
    import pyarrow as pa

    tags = {name: tag for tag, name in names.items()}
    values = table.column(column).to_pylist()
    cells = pa.array([tags.get(value, value) for value in values], pa.string())
    return table.set_column(table.column_names.index(column), column, cells)
