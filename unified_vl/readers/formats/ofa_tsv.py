"""OFA's TSV files (Wang et al., arXiv 2202.03052; "datasets.md" of its repository).

They have no line of names, and their images are base64 in the lines. A file is read once for
its texts; of an image only the place is kept.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.errors import UserError
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Field, Source, place_type
from unified_vl.readers.table import ArrowTable, Table

if TYPE_CHECKING:
    import pyarrow as pa

_BETWEEN = "&&"
_CONFIDENCE = re.compile(r"^[0-9.]+\|!\+")


def read_ofa_tsv(source: Source) -> Table:
    """The columns that the spec names, each as the kind of its field says."""
    import pyarrow as pa

    path = source.path
    known = list(source.columns)
    source.require(known)
    name = source.name(path)
    fields = {column: source.field_of(column) for column in source.needed}
    places = {column: known.index(column) for column in source.needed}
    values: dict[str, list[Any]] = {column: [] for column in source.needed}
    start = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            starts = [0, *(match.end() for match in re.finditer(b"\t", line))]
            if len(starts) != len(known):
                raise UserError(
                    f"found {len(starts)} values between tabs",
                    file=path,
                    line=number,
                    expected=f"{len(known)}: {', '.join(known)}",
                )
            ends = [*(each - 1 for each in starts[1:]), len(line.rstrip(b"\r\n"))]
            for column, place in places.items():
                field, first, last = fields[column], starts[place], ends[place]
                if field is not None and field.of_kind.is_input_image:
                    cell: Any = {"file": name, "offset": start + first, "size": last - first}
                    values[column].append(cell | {"base64": True})
                else:
                    values[column].append(_value(line[first:last], field, path, number, column))
            start += len(line)
    types = {column: _type(field) for column, field in fields.items()}
    arrays = {column: pa.array(cells, types[column]) for column, cells in values.items()}
    return ArrowTable(pa.table(arrays))


def _value(
    cell: bytes, field: Field | None, path: Path, line: int, column: str
) -> str | list[str] | list[float]:
    try:
        text = cell.decode()
        if field is not None and field.of_kind.writing == "places":
            return [float(number) for number in text.split(",")]
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path, line=line, field=column) from error
    except ValueError as error:
        found = f"found {text[:60]!r}"
        raise UserError(
            found, file=path, line=line, field=column, expected="numbers between commas"
        ) from error
    if field is not None and field.of_kind.writing == "text" and field.many:
        return [_CONFIDENCE.sub("", part, count=1).strip() for part in text.split(_BETWEEN)]
    return text


def _type(field: Field | None) -> pa.DataType:
    import pyarrow as pa

    if field is None:
        return pa.string()
    if field.of_kind.is_input_image:
        return place_type()
    if field.of_kind.writing == "places":
        return pa.list_(pa.float64())
    listed = field.of_kind.writing == "text" and field.many
    return pa.list_(pa.string()) if listed else pa.string()


OFA_TSV = Reader(
    "ofa_tsv",
    "The files of OFA (arXiv 2202.03052): values between tabs without a line of names, so "
    "`data.columns` names them. What a field of the spec says decides how its column is read: "
    "an image is base64 and stays in the file until it is asked for, the texts of `many: true` "
    "stand between `&&` (without the confidence before `|!+` of OFA's answers), the numbers of a "
    "box or another place between commas; all others are text.",
    read=read_ofa_tsv,
    named="always",
    images="never",
)
