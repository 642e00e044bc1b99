"""The columns that a spec reads of a table, and those that several of a table make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unified_vl.readers.registry import READERS
from unified_vl.readers.table import Unreadable
from unified_vl.specs.reading.document import KeyPath
from unified_vl.specs.task import TaskSpec


def needed_columns(spec: TaskSpec, languages: Sequence[str]) -> dict[str, KeyPath]:
    """Every column that a spec reads, with the key that names it."""
    needed: dict[str, KeyPath] = {}
    for name, field in spec.fields.items():
        for language in languages if field.columns is None else ():
            # of a column a language the file calls the language what it will
            said = spec.data.language_name(language) if spec.data.unpivot else language
            column = field.column_in(said)
            needed.setdefault(column, ("fields", name, "column"))
        for key in ("columns", "size"):
            for column in getattr(field, key) or ():
                needed.setdefault(column, ("fields", name, key))
        if field.duration is not None:
            needed.setdefault(field.duration, ("fields", name, "duration"))
    if spec.image_field is not None and any(f.units == "pixels" for f in spec.fields.values()):
        for column in READERS[spec.data.reader].stated_size:
            needed.setdefault(column, ("data", "reader"))
    for key in ("language_column", "key_column", "split_column"):
        column = getattr(spec.data, key)
        if column is not None:
            needed.setdefault(column, ("data", key))
    if spec.data.shares is not None and spec.split_by is not None:
        needed.setdefault(spec.split_by, ("data", "splits", "by"))
    for name in spec.report_by:
        if name != "language":
            needed.setdefault(name, ("report_by",))
    for index, score in enumerate(spec.score):
        for key, column in score.columns.items():
            needed.setdefault(column, ("score", index, key))
    return needed


def together(values: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """What several columns of a row hold, as a list; None where they hold nothing."""
    held = [values[column] for column in columns]
    broken = next((value for value in held if isinstance(value, Unreadable)), None)
    if broken is not None or all(value is None for value in held):
        return broken
    return held
