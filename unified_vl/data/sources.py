"""The rows of a task: tables on disk, read through `datasets`.

A table is held in memory as Arrow, only the columns that the spec names of it, and not
the images of archives: nothing is written anywhere (but what the reader `hub` downloads),
so any number of processes may read the same files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from unified_vl.data.exclusion import excluded_keys
from unified_vl.data.parts import read_parts, without_rows
from unified_vl.data.paths import languages_apart
from unified_vl.data.row import Row
from unified_vl.errors import BadRow
from unified_vl.specs.data import SplitName
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill


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
            for part in read_parts(spec, split, root, tag)
        ]
        if split == "train" and not with_excluded:
            keys = excluded_keys(spec, root)
            self._parts = [without_rows(part, keys, spec.data.key_column) for part in self._parts]
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
            for why, count in part.left_out.items():
                found[why] = found.get(why, 0) + count
        return found

    @property
    def links(self) -> dict[str, Path]:
        """Where links of the data root lead that its rows are read through, by their names."""
        return {name: path for part in self._parts for path, name in part.links.items()}

    @property
    def lost(self) -> dict[str, int]:
        """How many things of the rows are left out, by what they are."""
        found: Counter[str] = Counter()
        for part in self._parts:
            found.update(part.lost)
        return dict(found)

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
        prefix = self.spec.data.image_prefix or ""
        for number, positions in by_part.items():
            part = self._parts[number]
            linked = tuple(part.links)
            start = self._ends[number] - len(part.table)
            local = [int(indices[position]) - start for position in positions]
            batch = part.table[local]
            names = list(batch)
            values = zip(*batch.values(), strict=True)
            for position, index, row in zip(positions, local, values, strict=True):
                columns = dict(zip(names, row, strict=True))
                language = part.language if column is None else columns[column]
                place = index if part.numbers is None else part.numbers[index]
                file = part.file if part.files is None else part.files[index]
                rows[position] = Row(columns, file, place, language, part.images, prefix, linked)
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

    def has_values(self, column: str) -> bool:
        """Whether any row has something in a column."""
        tables = [p.table.data for p in self._parts if column in p.table.column_names]
        return any(table.column(column).null_count < len(table) for table in tables)

    def image_files(self) -> Iterator[str]:
        """The image files that rows name, relative to the data root, each once a table."""
        import pyarrow as pa
        import pyarrow.compute as pc

        prefix = self.spec.data.image_prefix or ""
        columns = {
            fill(field.column, language=language)
            for field in self.spec.fields.values()
            if field.kind in ("image", "image_codes")
            for language in self.spec.data.languages
        }
        for part in self._parts:
            row = Row({}, part.file, 0, None, part.images, prefix)
            for column in sorted(columns & set(part.table.column_names)):
                values = part.table.data.column(column)
                if pa.types.is_list(values.type):
                    values = pc.list_flatten(values)
                if pa.types.is_struct(values.type) and values.type.get_field_index("file") >= 0:
                    values = pc.struct_field(values, "file")  # images within files
                if not pa.types.is_string(values.type):
                    continue  # the images themselves, or codes
                for value in pc.unique(values).to_pylist():
                    with suppress(BadRow):  # it says so when it is read
                        yield from () if value is None else (row.image(value),)

    def keys(self) -> Iterator[tuple[str | None, str]]:
        """The language and the key of each row that has one in `data.key_column`."""
        key, language = self.spec.data.key_column, self.spec.data.language_column
        for part in self._parts:
            if key is None or key not in part.table.column_names:
                continue
            keys = part.table[key][:]
            tags = [part.language] * len(keys) if language is None else part.table[language][:]
            yield from ((tag, str(v)) for tag, v in zip(tags, keys, strict=True) if v is not None)

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
