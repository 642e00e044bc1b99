"""Files that a reader recognises by itself, as those may that other packages register."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.parts import KeyPath
from unified_vl.readers.registry import READERS
from unified_vl.readers.source import Source


def recognised(path: Path) -> str | None:
    """The reader that recognises a file as its own; None where none does."""
    asked = ((name, reader.recognises) for name, reader in READERS.items())
    return next((name for name, says in asked if says is not None and says(path)), None)


def first_recognised(files: Sequence[Path]) -> str | None:
    """The reader of the first of some files that one recognises."""
    return next(filter(None, map(recognised, files)), None)


def recognised_rows(
    name: str, path: Path, only: str | None, most: int | None
) -> Iterator[Mapping[str, Any]]:
    """The first rows of a file that a reader recognised, with its keys as they are by default.

    Raises:
        UserError: when it cannot be read.
    """
    reader = READERS[name]
    columns = dict(reader.columns or {})
    needed: dict[str, KeyPath] = {c: ("data", "reader") for c in columns if only in (None, c)}
    table = reader.open(
        Source(
            files={"path": path},
            needed=needed,
            fields={},
            languages=(),
            language_name=str,
            tag_of=str,
            error=lambda place, message, **rest: UserError(message, file=path, **rest),
            root=path.parent,
            markers=tuple(needed),
            keys=reader.keys(),
        )
    )
    values = {c: islice(table.column(c), most) for c in needed if c in table.names}
    for row in zip(*values.values(), strict=True):
        yield dict(zip(values, row, strict=True))
