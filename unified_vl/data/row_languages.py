"""The languages of rows, as their spec spells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unified_vl.specs.data import DataSpec

if TYPE_CHECKING:
    import pyarrow as pa


def with_tags(table: pa.Table, data: DataSpec) -> pa.Table:
    """With the spec's tags of languages in place of what the files call them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = data.language_column
    assert column is not None
    kind = table.schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return table  # each row is refused, with its place
    said = [name for name in pc.unique(table.column(column)).to_pylist() if name is not None]
    tags = {name: data.tag_of(name) or name for name in said}
    if all(name == tag for name, tag in tags.items()):
        return table
    cells = pa.array([tags.get(value) for value in table.column(column).to_pylist()], pa.string())
    return table.set_column(table.column_names.index(column), column, cells)
