"""The files of a split to tables, each with what is known of its rows."""

from __future__ import annotations

import posixpath
from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from unified_vl.data.rows.columns import needed_columns
from unified_vl.data.rows.paths import (
    Shard,
    existing,
    in_split,
    on_this_machine,
    own_filled,
)
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.selection import Selection, drop_missing, unpivoted
from unified_vl.data.rows.shares import keep_share
from unified_vl.errors import UserError
from unified_vl.readers.registry import READERS
from unified_vl.readers.source import Source
from unified_vl.readers.table import is_utf8
from unified_vl.remote.urls import is_url, joined, url_of
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName


@dataclass(frozen=True)
class SplitPart:
    """One file of a split, or the several that are read together.

    Attributes:
        rows: those of the split.
        file: the file, relative to the data root; of several the first.
        language: what its rows are in; None where a column says.
        images: the folder of its images.
        links: what lies outside the data root, with the name of a link in it that leads there.
        excluded: how many rows `data.exclude` took from it.
        instead: what a file without a row of the task holds.
        nearest: what of that may be meant.
    """

    rows: Selection
    file: str
    language: str | None
    images: str
    links: Mapping[Path, str]
    excluded: int = 0
    instead: str = ""
    nearest: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, index: int) -> tuple[str, int]:
        """The file of a row, and the place in it, from 0."""
        file, number = self.rows.place(index)
        return file or self.file, number

    def languages(self) -> Iterator[str | None]:
        """The tag of each row; what is none, as a text."""
        column = self.rows.spec.data.language_column
        if column is None:
            yield from repeat(self.language, len(self))
            return
        for tag in self.rows.column(column):
            yield tag if tag is None or isinstance(tag, str) else str(tag)


def read_parts(
    spec: TaskSpec,
    split: SplitName,
    root: Path,
    language: str | None,
    given: Shard | None = None,
) -> Iterator[SplitPart]:
    """The files of a split one after the other, in a language where each has its own; or of those
    the given ones alone, which are read together, or their part.

    Raises:
        UserError: when a file or a column is missing, or a file cannot be read.
    """
    data, said = spec.data, spec.data.splits[split]
    languages = spec.data.languages if language is None else (language,)
    needed = needed_columns(spec, languages)
    images = in_split(spec, spec.data.images or "", split, language)
    own = data.own.model_copy(update=own_filled(spec, split, language))
    marks = (data.key_column, data.language_column, data.split_column)
    several = existing(spec, split, root, language) if given is None else [given.files]
    for files in several:
        source = Source(
            files if given is None else on_this_machine(spec, files),
            needed,
            fields=spec.fields,
            languages=data.languages,
            language_name=data.language_name,
            tag_of=data.tag_of,
            error=spec.error,
            root=root,
            split=said,
            language=language,
            images=images,
            keys=own,
            columns=data.columns or (),
            markers=[column for column in needed if column in marks],
            skips=data.on_bad_row == "skip",
            alone=len(data.splits) == 1 or "{split}" in (data.path or ""),
            part=None if given is None else given.part,
        )
        if data.images_from == "file":
            folder = posixpath.dirname(source.name(source.path))
            source = replace(source, images=posixpath.join(folder, images).rstrip("/"))
        yield from _parts_of(source, spec, split)


def _parts_of(source: Source, spec: TaskSpec, split: SplitName) -> Iterator[SplitPart]:
    """The rows of a file; where it has a column a language, those of one language after the
    other."""
    data, kept = spec.data, source.kept
    if not all(is_utf8(str(path)) for path in source.files.values()):
        raise UserError("has a name that is not UTF-8", file=source.path)
    table = READERS[data.reader].open(source)
    rows = Selection(table, spec, kept.numbers, kept.left_out, kept.lost, kept.files)
    if data.split_column is not None:
        _keep_split(rows, data.split_column, source)
    if data.shares is not None:
        keep_share(rows, split)
    links = _links(source)
    for language, some in unpivoted(rows, spec) if data.unpivot else [(source.language, rows)]:
        drop_missing(some, spec, language)
        yield SplitPart(
            some,
            f"{source.name(source.path)}{kept.part}",
            language,
            source.images,
            links,
            instead=kept.instead,
            nearest=kept.nearest,
        )


def _keep_split(rows: Selection, column: str, source: Source) -> None:
    """The rows of the split that the source names; those of no split are counted."""
    kept, without = array("q"), 0
    for index, value in enumerate(rows.column(column)):
        if _says(value, source.split):
            kept.append(index)
        without += value is None or value == ""
    rows.keep(kept)
    if without:
        rows.left_out["are of no split"] = without


def _says(value: Any, split: str) -> bool:
    """Whether a cell names a split, which may be a number, or true or false as files write it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return value is not None and text == split


def _links(source: Source) -> dict[Path, str]:
    """What lies outside the data root, since what the spec names is a link or has links in it, or
    is a URL."""
    names = [source.name(path) for path in source.files.values()]
    named = {joined(source.root, name): name for name in (*names, source.images) if name}
    remote = {path: name for path, name in named.items() if is_url(name)}
    if url_of(source.root) is not None:
        return remote
    root = source.root.resolve()
    found = {path.resolve(): name for path, name in named.items() if path not in remote}
    outside = {path: name for path, name in found.items() if not path.is_relative_to(root)}
    return {**source.kept.links, **outside, **remote}


def without_rows(part: SplitPart, keys: Collection[str], column: str | None) -> SplitPart:
    """A part less the rows of these keys."""
    if not keys:
        return part
    known = column is not None and column in part.rows.names
    values = part.rows.column(column) if known and column else repeat(None, len(part))
    kept = array("q")
    for index, value in enumerate(values):
        row = Row({column or "": value}, *part.place(index), None)
        if row.key(column or "") not in keys:
            kept.append(index)
    rows = replace(part.rows)
    rows.keep(kept)
    return replace(part, rows=rows, excluded=len(part) - len(kept))
