"""The files of a split to tables, each with what is known of its rows."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.data.columns import needed_columns, with_one_of
from unified_vl.data.paths import existing, in_split
from unified_vl.data.readers.reader import Source
from unified_vl.data.readers.registry import READERS
from unified_vl.data.row import Row
from unified_vl.data.row_languages import with_tags
from unified_vl.data.selection import Selection, drop_missing, unpivoted
from unified_vl.specs.data import SplitName
from unified_vl.specs.readers import READERS as READER_INFOS
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


@dataclass(frozen=True)
class Part:
    """One file of a split, or the several that are read together.

    Attributes:
        table: the rows of the split.
        file: the file, relative to the data root; of several the first.
        language: what its rows are in; None where a column says.
        images: the folder of its images.
        links: what lies outside the data root, with the name of a link in it that leads there.
        numbers: the place of each row in the file; None where the table is all of it.
        left_out: how many rows of the file are none of the task, by what they lack.
        lost: how many things of its rows are left out, by what they are.
        files: the file of each row, where the part is of several; `numbers` then are in these.
        excluded: how many rows `data.exclude` took from it.
    """

    table: Dataset
    file: str
    language: str | None
    images: str
    links: Mapping[Path, str]
    numbers: Sequence[int] | None
    left_out: Mapping[str, int]
    lost: Mapping[str, int]
    files: Sequence[str] | None = None
    excluded: int = 0


def read_parts(
    spec: TaskSpec, split: SplitName, root: Path, language: str | None
) -> Iterator[Part]:
    """The files of a split one after the other, in a language where each has its own.

    Raises:
        UserError: when a file or a column is missing, or a file cannot be read.
    """
    said = spec.data.splits[split]
    languages = spec.data.languages if language is None else (language,)
    needed = needed_columns(spec, languages)
    images = in_split(spec, spec.data.images or "", split, language)
    config = in_split(spec, spec.data.config or "", split, language) or None
    for files in existing(spec, split, root, language):
        source = Source(spec, files, needed, said, language, root, images, config)
        if spec.data.images_from == "file":
            folder = posixpath.dirname(source.name(source.path))
            source = replace(source, images=posixpath.join(folder, images).rstrip("/"))
        yield from _parts_of(source)


def _parts_of(source: Source) -> Iterator[Part]:
    """The rows of a file; where it has a column a language, those of one language after the
    other."""
    spec, table = source.spec, READERS[source.spec.data.reader](source)
    data, kept = spec.data, source.kept
    rows = Selection(table, kept.numbers, kept.left_out, kept.lost, kept.files)
    if data.split_column is not None:
        rows.keep(_rows_of_split(table, data.split_column, source.split))
    if data.language_column is not None:
        rows.table = with_tags(rows.table, data)
    for field in spec.fields.values():
        if field.columns is not None:
            rows.table = with_one_of(rows.table, field.columns, fill(field.column))
    links = _links(source)
    for language, some in unpivoted(rows, spec) if data.unpivot else [(source.language, rows)]:
        drop_missing(some, spec, language)
        yield Part(
            _in_memory(some.table, combined=not READER_INFOS[data.reader].mapped),
            source.name(source.path),
            language,
            source.images,
            links,
            some.numbers,
            some.left_out,
            some.lost,
            some.files,
        )


def _in_memory(table: pa.Table, *, combined: bool) -> Dataset:
    from datasets import Dataset
    from datasets.table import InMemoryTable

    # without the metadata by which `datasets` would decode images itself, unguarded
    table = table.replace_schema_metadata(None)
    if combined:
        table = table.combine_chunks()  # an index then is a place in memory, not a search
    return Dataset(InMemoryTable(table))


def _links(source: Source) -> dict[Path, str]:
    """What lies outside the data root, since what the spec names is a link or has links in it."""
    root = source.root.resolve()
    names = [source.name(path) for path in source.files.values()]
    found = {(source.root / name).resolve(): name for name in (*names, source.images) if name}
    outside = {path: name for path, name in found.items() if not path.is_relative_to(root)}
    return {**source.kept.links, **outside}


def without_rows(part: Part, keys: Collection[str], column: str | None) -> Part:
    """A part less the rows of these keys."""
    import pyarrow as pa

    if not keys:
        return part
    table = part.table.data.table
    numbers = range(len(table)) if part.numbers is None else part.numbers
    known = column is not None and column in table.column_names
    values = table.column(column).to_pylist() if known else [None] * len(table)
    files = [part.file] * len(table) if part.files is None else part.files
    rows = (
        Row({column or "": v}, file, n, None)
        for v, file, n in zip(values, files, numbers, strict=True)
    )
    kept = [place for place, row in enumerate(rows) if row.key(column or "") not in keys]
    if len(kept) == len(table):
        return part
    return replace(
        part,
        table=_in_memory(table.take(pa.array(kept, pa.int64())), combined=True),
        numbers=[numbers[place] for place in kept],
        files=None if part.files is None else [part.files[place] for place in kept],
        excluded=len(table) - len(kept),
    )


def _rows_of_split(table: pa.Table, column: str, name: str) -> list[int]:
    import numpy as np
    import pyarrow as pa

    values = table.column(column).cast(pa.string()).to_numpy(zero_copy_only=False)
    return [int(place) for place in np.flatnonzero(values == name)]
