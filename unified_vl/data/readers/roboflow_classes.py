"""Roboflow's `_classes.csv`: a line an image, and for each class 1 or 0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.data.readers.annotations import reader_of
from unified_vl.data.readers.csv_boxes import lines_of
from unified_vl.errors import UserError


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


roboflow_classes = reader_of("roboflow_classes", lambda source: rows_of(source.path))
