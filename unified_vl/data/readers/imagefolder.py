"""Folders of images, with or without `metadata.jsonl` or `metadata.csv` (as `datasets` has it)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.data.image_formats import expected_formats, is_image
from unified_vl.data.readers import tables
from unified_vl.data.readers.image_files import files_below, note_links
from unified_vl.data.readers.reader import Source
from unified_vl.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = {"metadata.jsonl": tables.read_jsonl, "metadata.csv": tables.read_csv}


def read_imagefolder(source: Source) -> pa.Table:
    """A row an image, or a row of metadata."""
    import pyarrow as pa

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
    columns = {
        "image": [source.name(path) for path in images],
        "file_name": [path.relative_to(folder).as_posix() for path in images],
        "label": [path.parent.name for path in images],
    }
    source.require(list(columns))
    return pa.table({name: columns[name] for name in source.needed})


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
