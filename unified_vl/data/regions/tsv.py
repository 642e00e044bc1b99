"""TSV files of bottom-up attention: a line an image, arrays in base64 (arXiv 1707.07998).

Two layouts are published: image_id, image_w, image_h, num_boxes, boxes, features; and LXMERT's
img_id, img_h, img_w, objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes, features.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.data.regions.record import RegionRecord, record_of
from unified_vl.errors import BadRow, UserError

BOTTOM_UP = ("key", "width", "height", "count", "boxes", "features")
LXMERT = (
    *("key", "height", "width", "classes", "scores", "attributes", "attribute_scores"),
    *("count", "boxes", "features"),
)
LAYOUTS = {len(layout): layout for layout in (BOTTOM_UP, LXMERT)}
TYPES = {"classes": "<i8", "attributes": "<i8"}  # others are float32
ARRAYS = ("classes", "scores", "attributes", "boxes", "features")


class TsvStore:
    """A TSV file, of which memory holds where each line begins and its features do.

    Args:
        path: the file, which is read through once.

    Raises:
        UserError: for a line of other columns, or an image that is there twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, tuple[int, int, int]] = {}  # start, features, end
        self._layout: tuple[str, ...] = ()
        start = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                end = start + len(line)
                if line.strip():
                    self._add(line, number, start)
                start = end
        if not self._places:
            raise UserError("holds no regions", file=path)

    def _add(self, line: bytes, number: int, start: int) -> None:
        tabs = line.count(b"\t")
        if not self._layout:
            self._layout = LAYOUTS.get(tabs + 1, ())
        if tabs + 1 != len(self._layout):
            raise UserError(
                f"has {tabs + 1} columns",
                file=self.path,
                line=number,
                expected="6 (bottom-up attention) or 10 (LXMERT), without a line of names",
            )
        name = line[: line.index(b"\t")].decode("utf-8", "replace").strip()
        if name in self._places:
            raise UserError(f"has the image {name!r} again", file=self.path, line=number)
        features = start + line.rindex(b"\t") + 1
        self._places[name] = start, features, start + len(line)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def get(self, name: str, *, features: bool = True, labels: bool = False) -> RegionRecord:
        # no published layout has probabilities of all classes
        where = f"{self.path}, image {name!r}"
        start, behind, end = self._places[name]
        stop = end if features else behind - 1
        file = os.open(self.path, os.O_RDONLY)
        try:
            content = os.pread(file, stop - start, start)
        finally:
            os.close(file)
        if len(content) != stop - start:
            raise BadRow("has become shorter while it was read", file=where)
        cells = dict(zip(self._layout, content.rstrip(b"\r\n").split(b"\t"), strict=False))

        def get(key: str) -> Any:
            cell = cells.get(key)
            return None if cell is None else _value(key, cell, where)

        return record_of(get, where, features=features)


def _value(key: str, cell: bytes, where: str) -> Any:
    if key not in ARRAYS:
        try:
            return float(cell)
        except ValueError as error:
            raise BadRow(f"has {cell[:30]!r} as its {key}", file=where) from error
    kind = np.dtype(TYPES.get(key, "<f4"))
    try:
        content = base64.b64decode(cell, validate=True)
    except ValueError as error:
        raise BadRow(f"has {key} that are no base64: {error}", file=where) from error
    if len(content) % kind.itemsize:
        raise BadRow(f"has {len(content)} bytes of {key}", file=where, expected=f"{kind.name}s")
    return np.frombuffer(content, kind)
