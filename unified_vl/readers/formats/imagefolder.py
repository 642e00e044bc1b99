"""Folders of images, with or without `metadata.jsonl` or `metadata.csv` (as `datasets` has it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.image_formats import expected_formats, is_image
from unified_vl.readers.formats.csv_tsv import CSV
from unified_vl.readers.formats.jsonl import JSONL
from unified_vl.readers.image_files import files_below, note_links
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Kept, Source
from unified_vl.readers.table import NO_TEXT, Columns, Table, Unreadable, is_utf8

METADATA: dict[str, Reader] = {"metadata.jsonl": JSONL, "metadata.csv": CSV}


def read_imagefolder(source: Source) -> Table:
    """A row an image, or a row of metadata."""
    folder = source.path
    files = files_below(source)
    metadata = [path for path in files if path.name in METADATA]
    if metadata:
        note_links(source, metadata)
        return _with_metadata(source, metadata)
    images = [path for path in files if is_image(path)]
    note_links(source, images)
    if not images:
        raise UserError("holds no image", file=folder, expected=f"{expected_formats()} files")
    columns: dict[str, Sequence[Any]] = {
        "image": [_named(source.name(path)) for path in images],
        "file_name": [_named(path.relative_to(folder).as_posix()) for path in images],
        "label": [_named(path.parent.name) for path in images],
    }
    source.require(list(columns))
    source.found_in(images)
    return Columns({name: columns[name] for name in source.needed})


def _named(name: str) -> str | Unreadable:
    """A name as it is, unless its bytes are no text."""
    return name if is_utf8(name) else NO_TEXT


def _with_metadata(source: Source, metadata: list[Path]) -> Table:
    """The rows of all files of metadata, one after the other."""
    found: dict[str, list[Any]] = {column: [] for column in source.needed}
    files: list[str] = []
    numbers: list[int] = []
    for path in metadata:
        names = {column: source.needed[column] for column in source.needed if column != "image"}
        needed = {"file_name": ("data", "path"), **names}
        reader = METADATA[path.name]
        own = replace(source, files={"path": path}, needed=needed, keys=reader.keys(), kept=Kept())
        table = reader.open(own)
        rows = table.take(range(len(table)))
        kept = range(len(table)) if own.kept.numbers is None else own.kept.numbers
        images = []
        for place, name in zip(kept, rows["file_name"], strict=True):
            if not isinstance(name, str):
                raise UserError(f"row {place + 1} names no image", file=path, field="file_name")
            images.append(f"{source.name(path.parent)}/{name}")
        for column, values in found.items():
            values += images if column == "image" else rows[column]
        files += [source.name(path)] * len(table)
        numbers += kept
        for why, count in own.kept.left_out.items():
            source.leave_out(count, why)
    source.kept.files, source.kept.numbers = files, numbers
    return Columns(found)


IMAGEFOLDER = Reader(
    "imagefolder",
    "A folder of images, as `datasets` reads it: columns `image`, `file_name` (its path below "
    "the folder) and `label` (the folder right above the image), in the order of the names; "
    "where there are files `metadata.jsonl` or `metadata.csv`, their rows, which name images "
    "beside them in `file_name`: columns `image` and those of the files.",
    read=read_imagefolder,
    path="folder",
    images="never",
)
