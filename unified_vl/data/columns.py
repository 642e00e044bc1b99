"""The columns that a spec reads of a table, and those that several of a table make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unified_vl.specs.document import KeyPath
from unified_vl.specs.readers import stated_size
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill

if TYPE_CHECKING:
    import pyarrow as pa


def needed_columns(spec: TaskSpec, languages: Sequence[str]) -> dict[str, KeyPath]:
    """Every column that a spec reads, with the key that names it."""
    needed: dict[str, KeyPath] = {}
    for name, field in spec.fields.items():
        for language in languages if field.columns is None else ():
            # of a column a language the file calls the language what it will
            said = spec.data.language_name(language) if spec.data.unpivot else language
            column = fill(field.column, language=said)
            needed.setdefault(column, ("fields", name, "column"))
        for key in ("columns", "size"):
            for column in getattr(field, key) or ():
                needed.setdefault(column, ("fields", name, key))
    if spec.image_field is not None and any(f.units == "pixels" for f in spec.fields.values()):
        for column in stated_size(spec.data.reader):
            needed.setdefault(column, ("data", "reader"))
    for key in ("language_column", "key_column", "split_column"):
        column = getattr(spec.data, key)
        if column is not None:
            needed.setdefault(column, ("data", key))
    for name in spec.report_by:
        if name != "language":
            needed.setdefault(name, ("report_by",))
    for index, score in enumerate(spec.score):
        if score.column is not None:
            key, column = score.column
            needed.setdefault(column, ("score", index, key))
    return needed


def with_one_of(table: pa.Table, columns: Sequence[str], name: str) -> pa.Table:
    """With a column of lists: what several columns hold in each row.

    Cells of CSV are text; they become numbers where all of them are some.
    """
    import pyarrow as pa

    held = [table.column(column).to_pylist() for column in columns]
    cells: list[Any]
    try:
        numbers = [[None if value is None else float(value) for value in cell] for cell in held]
        cells, kind = list(zip(*numbers, strict=True)), pa.float64()
    except (TypeError, ValueError):
        texts = [[None if value is None else str(value) for value in cell] for cell in held]
        cells, kind = list(zip(*texts, strict=True)), pa.string()
    empty = (None,) * len(columns)
    return table.append_column(
        name, pa.array([None if cell == empty else cell for cell in cells], pa.list_(kind))
    )
