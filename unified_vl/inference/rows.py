"""Rows to answer: the lines of a JSONL, CSV or TSV file, the rows of a Parquet file, or the images
of a folder. None of them is read as a whole."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from unified_vl.errors import UserError, nearest
from unified_vl.inference.folders import images_below
from unified_vl.json_text import full_lines, object_in
from unified_vl.readers.delimited import Delimited, DelimitedFile, Record, separator_of
from unified_vl.readers.table import Unreadable, is_utf8, values_of

Values = dict[str, Any]
NumberedRow = tuple[int, Values | UserError]
BATCH = 64  # rows of Parquet in memory at once: they may hold images


class RowFile(Protocol):
    """Rows with their numbers; what is wrong with one of them takes its place."""

    root: Path
    """The folder that image paths are relative to and stay below."""

    def __len__(self) -> int: ...

    def rows(self, start: int) -> Iterator[NumberedRow]:
        """The rows from the one at `start` on, counted from 0."""
        ...

    def digest(self) -> str:
        """A text that differs where the rows do."""
        ...


def open_rows(source: Path, image_field: str | None) -> RowFile:
    """The rows of a file by its ending, or of a folder of images.

    Args:
        source: NAME.jsonl, NAME.parquet, NAME.csv, NAME.tsv or a folder.
        image_field: what a folder's images are given as; None where no task says it.

    Raises:
        UserError: when it is missing or none of these, or a folder is given without need.
    """
    if source.is_dir():
        if image_field is None:
            raise UserError("is a folder, and no task with images is named", file=source)
        return ImageFolder(source, image_field)
    ending = source.suffix.lower()
    if ending not in READERS:
        raise UserError(
            "no rows are read from such a file",
            file=source,
            expected=f"a file ending in {', '.join(READERS)}, or a folder of images",
            nearest=nearest(ending, READERS),
        )
    if not source.is_file():
        raise UserError("the input file is missing", file=source)
    return READERS[ending](source)


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.parent

    def digest(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class JsonLines(_File):
    """An object a line; empty lines are passed over."""

    def __len__(self) -> int:
        return sum(1 for _ in full_lines(self.path))

    def rows(self, start: int) -> Iterator[NumberedRow]:
        for number, line in islice(full_lines(self.path), start, None):
            try:
                yield number, object_in(line, self.path, number)
            except UserError as error:
                yield number, error


class Csv(_File):
    """Text by column; the first line names the columns, and an empty cell holds nothing.

    Values may stand between commas, semicolons, tabs or bars, which the first line tells; a mark
    of the byte order tells UTF-16.
    """

    def __len__(self) -> int:
        return sum(1 for _ in self.rows(0))

    def rows(self, start: int) -> Iterator[NumberedRow]:
        records = self._records()
        head = next(records, None)
        names = [] if head is None else head.cells
        if not names or "" in names or len(set(names)) < len(names):
            raise UserError("the first line does not name the columns", file=self.path, line=1)
        for record in islice(records, start, None):
            yield record.line, self._parse(names, record.cells, record.line)

    def _records(self) -> Iterator[Record]:
        with self.path.open("rb") as file:
            wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        # bytes that are no text are lost with their row alone
        how = Delimited(encoding="utf-16" if wide else "utf-8", errors="surrogateescape")
        as_it_stands = DelimitedFile(self.path, replace(how, quoted=False)).records()
        head = next(as_it_stands, None)
        if head is not None and len(head.cells) == 1:
            how = replace(how, delimiter=separator_of(head.cells, ",") or ",")
        return DelimitedFile(self.path, how).records()

    def _parse(self, names: list[str], cells: list[str], number: int) -> Values | UserError:
        if len(cells) != len(names):
            return UserError(
                f"found {len(cells)} cells",
                file=self.path,
                line=number,
                expected=f"{len(names)}, as in the first line",
            )
        if any(not is_utf8(cell) for cell in cells):
            return UserError("is not UTF-8 text", file=self.path, line=number)
        return {name: cell for name, cell in zip(names, cells, strict=True) if cell}


class Parquet(_File):
    """Rows of any columns; images are paths, bytes or `{"bytes", "path"}`."""

    def __len__(self) -> int:
        return self._open().metadata.num_rows

    def rows(self, start: int) -> Iterator[NumberedRow]:
        import pyarrow as pa

        file = self._open()
        number = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if number + size <= start:  # answered before: not even read
                number += size
                continue
            try:
                for batch in file.iter_batches(BATCH, row_groups=[group], use_threads=False):
                    skipped = min(max(0, start - number), len(batch))
                    columns = {name: values_of(batch.column(name)) for name in batch.schema.names}
                    for place in range(skipped, len(batch)):
                        row = {name: value_of(place) for name, value_of in columns.items()}
                        yield number + place + 1, self._readable(row, number + place + 1)
                    number += len(batch)
            except (pa.ArrowException, OSError) as error:
                raise self._broken(error) from error

    def _readable(self, row: Values, number: int) -> Values | UserError:
        for name, value in row.items():
            if isinstance(value, Unreadable):
                return UserError(value.message, file=self.path, line=number, field=name)
        return {name: value for name, value in row.items() if value is not None}

    def _open(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise UserError("two columns have one name", file=self.path)
        return file

    def _broken(self, error: BaseException) -> UserError:
        first_line = str(error).strip().split("\n", 1)[0]
        return UserError(f"is not a Parquet file: {first_line}", file=self.path)


class ImageFolder:
    """The images below a folder, each a row whose key is its path."""

    def __init__(self, folder: Path, field: str) -> None:
        self.root = folder
        self._field = field
        self._names = [path.relative_to(folder).as_posix() for path in images_below(folder)]
        if not self._names:
            raise UserError("holds no image", file=folder)

    def __len__(self) -> int:
        return len(self._names)

    def rows(self, start: int) -> Iterator[NumberedRow]:
        for number, name in enumerate(self._names[start:], start + 1):
            yield number, {"key": name, self._field: name}

    def digest(self) -> str:
        found = [(name, (self.root / name).stat()) for name in self._names]
        facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


READERS: dict[str, Callable[[Path], RowFile]] = {
    ".jsonl": JsonLines,
    ".parquet": Parquet,
    ".csv": Csv,
    ".tsv": Csv,
}
