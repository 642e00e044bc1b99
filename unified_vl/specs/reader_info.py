"""What is said of a reader: the files that it reads and the columns that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal[
    "text", "texts", "whole", "number", "numbers", "image", "images", "box", "boxes", "polygons"
]
Frequency = Literal["never", "sometimes", "always"]


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


STATED_SIZE = {
    "width": Column("number", "of the image in pixels, as the annotations state it"),
    "height": Column("number", "the same"),
}


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """What a reader reads.

    Attributes:
        about: the format, in a sentence.
        files: names of its files under `data.files`; none for a reader of one `data.path`.
        optional: those of them that may be left out.
        columns: what it gives; None where the file itself says.
        path: what `data.path` names: a file, a folder, either, or the id of a data set.
        named: whether a file has no line of names and `data.columns` gives them: never,
            sometimes or always.
        images: whether `data.images` says where the images are: never, sometimes or always.
        own_splits: whether the files themselves tell splits apart, by what `data.splits` says.
        keys: keys of `data` that say something to this reader and to few others.
    """

    about: str
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    columns: Mapping[str, Column] | None = field(default=None, hash=False)
    path: Literal["file", "folder", "either", "id"] = "file"
    named: Frequency = "never"
    images: Frequency = "sometimes"
    own_splits: bool = False
    keys: tuple[str, ...] = ()
