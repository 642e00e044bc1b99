"""LabelMe's JSON (github.com/wkentaro/labelme): a file an image, beside it or elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.detections import (
    LOOKED_FOR,
    Annotations,
    Picture,
    Thing,
    around,
    detection_reader,
    files_of,
    outlined,
)
from unified_vl.readers.json_files import member, read_json

_CORNERS = ("rectangle", "mask")  # two opposite corners


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The images of a folder. Points and lines are counted as lost."""
    for path in files_of(opened.path, ".json"):
        content = read_json(path)
        shapes = member(content, "shapes", list, path)
        things = [t for n, s in enumerate(shapes) for t in _things(s, path, f"shapes.{n}", opened)]
        name = member(content, "imagePath", str, path)
        image = opened.image(name, path.parent, opened.path)
        yield Picture(image, tuple(things), _size(content, path), file=path)


def _size(content: Any, path: Path) -> tuple[float, float] | None:
    sides = ("imageWidth", "imageHeight")
    if any(content.get(side) is None for side in sides):
        return None
    width, height = (float(member(content, side, float, path)) for side in sides)
    return width, height


def _things(shape: Any, path: Path, where: str, opened: Annotations) -> Iterator[Thing]:
    label = member(shape, "label", str, path, where)
    drawn = shape.get("shape_type") or "polygon"
    points = member(shape, "points", list, path, where)
    if not all(_is_point(point) for point in points):
        message = f"found {str(points)[:60]!r}"
        expected = "[[x, y], ...]"
        raise UserError(message, file=path, field=f"{where}.points", expected=expected)
    xy = tuple(float(v) for point in points for v in point)
    if drawn == "polygon" and len(xy) >= 6:
        yield outlined(label, xy)
    elif drawn in _CORNERS and len(xy) >= 4:
        if drawn == "mask":
            opened.lost["outlines of masks (their boxes are kept)"] += 1
        yield Thing(label, around(xy))
    elif drawn == "circle" and len(xy) == 4:  # its centre, and a point of it
        radius = math.hypot(xy[2] - xy[0], xy[3] - xy[1])
        x, y = xy[:2]
        yield Thing(label, (x - radius, y - radius, x + radius, y + radius))
    elif drawn in ("polygon", "circle", *_CORNERS):
        message = f"a {drawn} of {len(points)} points"
        raise UserError(message, file=path, field=f"{where}.points")
    else:
        opened.lost[f"LabelMe shapes of type {drawn!r}"] += 1


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and math.isfinite(v) for v in value)
    )


LABELME = detection_reader(
    "labelme",
    "LabelMe's JSON files, one an image, below a folder: polygons, rectangles, circles and the "
    f"boxes of masks.{LOOKED_FOR}, as these name them.",
    pictures,
    path="folder",
)
