"""Roboflow's `_classes.csv`: a line an image, and for each class 1 or 0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.annotation_tools.csv_boxes import lines_of
from unified_vl.readers.columns import Column
from unified_vl.readers.reader import Reader


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file.

    Raises:
        UserError: for a line that is no image with its marks.
    """
    for line, row in lines_of(path, ("filename",)):
        name = row.pop("filename")
        for label, mark in row.items():
            if mark.strip() not in ("0", "1"):
                message = f"found {mark[:60]!r}"
                raise UserError(message, file=path, line=line, field=label, expected="0 or 1")
        labels = [label for label, mark in row.items() if mark.strip() == "1"]
        said = ", ".join(labels) if labels else "none"
        yield {"key": name, "image": name, "labels": labels, "said": said}


ROBOFLOW_CLASSES = Reader(
    "roboflow_classes",
    "Roboflow's `_classes.csv`: a line an image, and 1 for each of its classes.",
    rows=lambda source: rows_of(source.path),
    columns={
        "key": Column("text", "the image's name"),
        "image": Column("image", "the image"),
        "labels": Column("texts", "its classes"),
        "said": Column("text", "these between commas; `none` for none"),
    },
)
