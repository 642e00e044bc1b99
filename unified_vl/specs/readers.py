"""The readers: which files each reads and, where its format fixes them, which columns it gives.

What reads them is `data/readers/`; here is what a spec can be checked against before there
is a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic_core import PydanticCustomError

from unified_vl.specs.document import one_of

ColumnType = Literal[
    "text", "texts", "whole", "number", "numbers", "image", "images", "box", "boxes", "polygons"
]


@dataclass(frozen=True, slots=True)
class Column:
    """What a reader gives in a column.

    Attributes:
        type: its values: a text or a list of texts, a whole or any number, a list of
            numbers, a path or file of an image or several, `[x, y, w, h]` or whatever
            `about` says, a list of such, or a list of `[x, y, x, y, ...]`.
        about: what they mean.
    """

    type: ColumnType
    about: str


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """What a reader reads.

    Attributes:
        about: the format, in a sentence.
        files: names of its files under `data.files`; none for a reader of one `data.path`.
        optional: those of them that may be left out.
        columns: what it gives; None where the file itself says.
    """

    about: str
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    columns: Mapping[str, Column] | None = field(default=None, hash=False)


TABLES = {
    "parquet": ReaderInfo("Parquet files."),
    "jsonl": ReaderInfo("A JSON object a line."),
    "csv": ReaderInfo("Comma-separated values below a line of names; every value is text."),
}
COCO = {
    "coco_captions": ReaderInfo(
        "COCO's caption annotations: a row an image.",
        columns={
            "key": Column("text", "the image's id"),
            "image": Column("image", "its file name"),
            "captions": Column("texts", "its captions"),
        },
    ),
}
READERS: dict[str, ReaderInfo] = {**TABLES, **COCO}


def known_reader(name: object) -> object:
    """The name of a reader, as it is.

    Raises:
        PydanticCustomError: for another, with the nearest name.
    """
    if isinstance(name, str) and name not in READERS:
        context = {"expected": one_of(READERS), "names": tuple(READERS)}
        raise PydanticCustomError("unknown_name", "{expected}", context)
    return name
