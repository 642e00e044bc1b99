"""Arrow files, feather files, and what `datasets` saves; the rows stay on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.errors import UserError
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, first_line
from unified_vl.readers.table import ArrowTable, Table

if TYPE_CHECKING:
    import pyarrow as pa


def read_arrow(source: Source) -> Table:
    """The rows of a file or a folder, mapped into memory."""
    import pyarrow as pa

    path = source.path
    try:
        table = _read_folder(path) if path.is_dir() else _read_file(path)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        right = "a folder of `save_to_disk`" if path.is_dir() else "an Arrow file"
        raise UserError(f"is not {right}: {first_line(error)}", file=path) from error
    source.require(table.column_names)
    return ArrowTable(table.select(list(source.needed)))


def _read_file(path: Path) -> pa.Table:
    """An IPC file (which feather is too), or a stream, as `datasets` writes its caches."""
    import pyarrow as pa

    mapped = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(mapped).read_all()
    except pa.ArrowInvalid:  # no file has the magic of the other
        mapped.seek(0)
        return pa.ipc.open_stream(mapped).read_all()


def _read_folder(path: Path) -> pa.Table:
    from datasets import Dataset, load_from_disk

    dataset = load_from_disk(str(path))
    if not isinstance(dataset, Dataset):
        raise ValueError(
            f"it holds the splits {', '.join(dataset)}; name one: {path.name}/{{split}}"
        )
    # formatted as Arrow, nothing is decoded
    return dataset.with_format("arrow")[:]


ARROW = Reader(
    "arrow",
    "Arrow IPC files and streams (`.arrow`, `.feather`), or a folder that `save_to_disk` of "
    "`datasets` wrote; the rows stay on disk.",
    read=read_arrow,
    path="either",
)
