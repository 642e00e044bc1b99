"""Rows that training leaves out, by their keys: those that a test split has too, above all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import json_lines
from unified_vl.remote.fetching import local
from unified_vl.remote.urls import joined, url_of
from unified_vl.specs.reading.document import KeyPath
from unified_vl.specs.task import TaskSpec

PLACE: KeyPath = ("data", "exclude")


def excluded_keys(spec: TaskSpec, root: Path) -> frozenset[str]:
    """The keys of the rows that `data.exclude` names; none without it.

    The file is JSONL: `{"task": NAME, "key": KEY}` a line, whatever else it holds. Lines of
    other tasks are passed over, so that one file serves many specs; a line without a task is
    meant for all.

    Raises:
        UserError: when the file is missing or a line is no such object.
    """
    if spec.data.exclude is None:
        return frozenset()
    path = joined(root, spec.data.exclude)
    if url_of(path) is not None:
        path = local(path)
    if not path.is_file():
        neighbours = path.parent.iterdir() if path.parent.is_dir() else ()
        close = nearest(path.name, (p.name for p in neighbours if p.is_file()))
        raise spec.error(PLACE, f"there is no file {str(path)!r}", nearest=close)
    return frozenset(_keys(path, spec.task))


def _keys(path: Path, task: str) -> Iterator[str]:
    for number, entry in json_lines(path):
        key = entry.get("key") if isinstance(entry, dict) else None
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise UserError(
                "names no row",
                file=path,
                line=number,
                expected='an object with a "key", which is text or a whole number',
            )
        if entry.get("task", task) == task:
            yield str(key)
