"""The rows of a task: tables on disk.

Only the columns that the spec names are read. Of text and Parquet memory holds where the rows
are, and of archives the places of the images: a row is read when it is asked for. Nothing is
written anywhere (but what the reader `hub` downloads), so any number of processes may read the
same files.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

from unified_vl.data.rows.exclusion import excluded_keys
from unified_vl.data.rows.paths import Shard, first_shards, languages_apart
from unified_vl.data.rows.row import Row
from unified_vl.data.split_parts import read_parts, without_rows
from unified_vl.errors import BadRow, UserError
from unified_vl.readers.table import Unreadable
from unified_vl.remote.urls import url_of
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

MOST_SAID = 3  # files that a message is about


class TaskData:
    """The rows of one split of a task, by index.

    With one file a language, the files follow each other in the order of
    `data.languages`; files that one `*` stands for, in the order of their names.

    Args:
        spec: the task.
        split: train, validation or test.
        root: the data root that the spec's path is relative to.
        with_excluded: whether the train split has the rows that `data.exclude` names too.
        shards: files of the split, in place of all; they may hold no row. Unless given, a train
            split that is streamed (`data.stream`) is its first file (or part of one), of each
            language that has files of its own.

    Attributes:
        streamed: whether files are opened as their turn comes, and nobody knows how many rows
            there are.

    Raises:
        UserError: when the split, a file or a column is missing, a file cannot be
            read, or there is no row at all.
    """

    def __init__(
        self,
        spec: TaskSpec,
        split: SplitName,
        root: Path,
        *,
        with_excluded: bool = False,
        shards: Sequence[Shard] | None = None,
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
        self.streamed = False
        of = shards
        if of is None and split == "train" and spec.data.stream:
            of = first_shards(spec, split, root)
        if of is None:
            apart = languages_apart(spec, split)
            found = [read_parts(spec, split, root, tag) for tag in apart]
        else:
            found = [read_parts(spec, split, root, each.language, each) for each in of]
        self._parts = [part for parts in found for part in parts]
        if split == "train" and not with_excluded:
            keys = excluded_keys(spec, root)
            self._parts = [without_rows(part, keys, spec.data.key_column) for part in self._parts]
        self._ends = list(accumulate(len(part) for part in self._parts))
        self._lock = threading.Lock()  # readers keep open files and what they read last
        if len(self) == 0 and shards is None:
            raise self._empty()

    def _empty(self) -> UserError:
        """What to say of a split without a row."""
        spec = self.spec
        without = "".join(f" ({n} {why})" for why, n in self.left_out.items())
        instead = [part.instead for part in self._parts if part.instead]
        there = f": {'; '.join(instead[:MOST_SAID])}" if instead else ""
        place = ("data", "files" if spec.data.path is None else "path")
        return spec.error(
            ("data", "languages") if instead else place,
            f"{self.split} holds no row{without}{there}",
            expected="at least one",
            nearest=next((part.nearest for part in self._parts if part.nearest), None),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that a row has: those that the spec names."""
        return self._parts[0].rows.names

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows of the files are none of the task, by what they lack."""
        found: dict[str, int] = {}
        for part in self._parts:
            for why, count in part.rows.left_out.items():
                found[why] = found.get(why, 0) + count
        return found

    @property
    def links(self) -> dict[str, Path]:
        """Where links of the data root lead that its rows are read through, by their names."""
        links = (link for part in self._parts for link in part.links.items())
        return {name: path for path, name in links if url_of(path) is None}

    @property
    def lost(self) -> dict[str, int]:
        """How many things of the rows are left out, by what they are."""
        found: Counter[str] = Counter()
        for part in self._parts:
            found.update(part.rows.lost)
        return dict(+found)  # without what was counted as 0

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
        prefix, of = self.spec.data.image_prefix or "", self.spec.data.language_column
        for number, positions in by_part.items():
            part = self._parts[number]
            linked = tuple(part.links)
            start = self._ends[number] - len(part)
            local = [int(indices[position]) - start for position in positions]
            with self._lock:
                found = part.rows.rows(local)
            for position, index, columns in zip(positions, local, found, strict=True):
                language = part.language if of is None else columns[of]
                where = part.place(index)
                rows[position] = Row(columns, *where, language, part.images, prefix, linked)
        return [rows[position] for position in range(len(indices))]

    def distinct(self, column: str) -> Iterator[str]:
        """The texts of a column, each once a file; of lists of texts, their items."""
        for part in self._parts:
            if column not in part.rows.names:
                continue  # a file of another language
            seen: set[str] = set()
            for value in part.rows.column(column):
                for item in value if isinstance(value, list | tuple) else (value,):
                    if item is None or isinstance(item, Unreadable) or str(item) in seen:
                        continue
                    seen.add(str(item))
                    yield str(item)

    def has_values(self, column: str) -> bool:
        """Whether any row has something in a column."""
        parts = (part for part in self._parts if column in part.rows.names)
        return any(value is not None for part in parts for value in part.rows.column(column))

    def image_files(self) -> Iterator[str]:
        """The image files that rows name, relative to the data root, each once a table."""
        prefix = self.spec.data.image_prefix or ""
        columns = {
            field.column_in(language)
            for field in self.spec.fields.values()
            if field.of_kind.is_image
            for language in self.spec.data.languages
        }
        for part in self._parts:
            row = Row({}, part.file, 0, None, part.images, prefix)
            for column in sorted(columns & set(part.rows.names)):
                for name in dict.fromkeys(_file_names(part.rows.column(column))):
                    with suppress(BadRow):  # it says so when it is read
                        yield row.image(name)

    def keys(self) -> Iterator[tuple[str | None, str]]:
        """The language and the key of each row that has one in `data.key_column`."""
        key = self.spec.data.key_column
        for part in self._parts:
            if key is None or key not in part.rows.names:
                continue
            for tag, value in zip(part.languages(), part.rows.column(key), strict=True):
                if value is not None and not isinstance(value, Unreadable):
                    yield tag, str(value)

    def named(self) -> Iterator[tuple[str | None, str]]:
        """The language of each row, as the data say it, and its name in predictions, in order;
        without reading more than the column of keys."""
        key = self.spec.data.key_column
        for part in self._parts:
            known = key is not None and key in part.rows.names
            keys = part.rows.column(key) if known and key is not None else repeat(None)
            for index, (tag, value) in enumerate(zip(part.languages(), keys, strict=False)):
                columns = {} if key is None else {key: value}
                yield tag, Row(columns, *part.place(index), tag).key(key)

    def by_language(self) -> dict[str | None, Sequence[int]]:
        """The indices of the rows in each language, as the data say it."""
        tags = {part.language for part in self._parts}
        if len(tags) == 1 and self.spec.data.language_column is None:
            return {tags.pop(): range(len(self))}
        found: dict[str | None, array[int]] = {}
        for end, part in zip(self._ends, self._parts, strict=True):
            for index, tag in enumerate(part.languages(), end - len(part)):
                found.setdefault(tag, array("q")).append(index)
        return dict(found)

    def _part_of(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return bisect_right(self._ends, index)


def _file_names(values: Iterator[Any]) -> Iterator[str]:
    """The files in a column of images: by their paths, or that others are in."""
    for value in values:
        for item in value if isinstance(value, list) else (value,):
            name = item.get("file") if isinstance(item, Mapping) else item
            if isinstance(name, str):
                yield name
            elif item is not None and not isinstance(item, Unreadable):
                return  # the images themselves, or codes
