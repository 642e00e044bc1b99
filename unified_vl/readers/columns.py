"""What readers say of the columns that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


STATED_SIZE = {
    "width": Column("number", "of the image in pixels, as the annotations state it"),
    "height": Column("number", "the same"),
}
QUESTION_ID = Column("text", "the id of the question")
ROW_ID = Column("text", "the id of the row")
IMAGE_ID = Column("text", "the image's id")
IMAGE = Column("image", "the image's file name")
QUESTION = Column("text", "the question")
CAPTIONS = Column("texts", "its captions")
LANGUAGE = Column("text", "the language of the row, as the files call it")
BOX = Column("box", "[x, y, width, height] in pixels")
PAIRS = {
    "source": Column("text", "a sentence"),
    "target": Column("text", "its translation"),
}
