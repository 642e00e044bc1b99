"""Folders of images, with or without `metadata.jsonl` or `metadata.csv` (as `datasets` has it)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.data.readers import tables
from unified_vl.data.readers.reader import Source
from unified_vl.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
METADATA = {"metadata.jsonl": tables.read_jsonl, "metadata.csv": tables.read_csv}


def read_imagefolder(source: Source) -> pa.Table:
    """A row an image, or a row of metadata."""
    import pyarrow as pa

    folder = source.path
    metadata = sorted(path for name in METADATA for path in folder.rglob(name) if path.is_file())
    if metadata:
        return _with_metadata(source, metadata)
    images = sorted(_images(folder))
    if not images:
        raise UserError("holds no image", file=folder, expected="PNG, JPEG, WEBP, GIF or BMP files")
    columns = {
        "image": [source.name(path) for path in images],
        "file_name": [path.relative_to(folder).as_posix() for path in images],
        "label": [path.parent.name for path in images],
    }
    source.require(list(columns))
    return pa.table({name: columns[name] for name in source.needed})


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            yield path


def _with_metadata(source: Source, metadata: list[Path]) -> pa.Table:
    import pyarrow as pa

    found = []
    for path in metadata:
        names = {column: source.needed[column] for column in source.needed if column != "image"}
        needed = {"file_name": ("data", "path"), **names}
        table = METADATA[path.name](replace(source, files={"path": path}, needed=needed))
        images = []
        for number, name in enumerate(table.column("file_name").to_pylist(), 1):
            if not isinstance(name, str):
                raise UserError(f"row {number} names no image", file=path, field="file_name")
            images.append(f"{source.name(path.parent)}/{name}")
        table = table.append_column("image", pa.array(images, pa.string()))
        found.append(table.select(list(source.needed)))
    try:
        return pa.concat_tables(found, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(
            f"{len(metadata)} files of metadata disagree on their columns", file=source.path
        ) from error
