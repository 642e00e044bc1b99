"""Boxes and outlines as annotators drew them: cut off at the edges of the image.

Public annotations leave the image by a rounding, or by some pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.json_files import member


def numbers(value: Any, path: Path, where: str, count: int | None = None) -> list[float]:
    """A list of finite numbers.

    Args:
        value: what the file holds.
        path: the file, for messages.
        where: the place in it.
        count: how many there must be; None for any even number.

    Raises:
        UserError: when it is something else.
    """
    whole = isinstance(value, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value
    )
    if not whole or (len(value) % 2 if count is None else len(value) != count):
        expected = f"{count} numbers" if count else "numbers x, y, x, y, ..."
        raise UserError(f"found {str(value)[:60]!r}", file=path, field=where, expected=expected)
    return [float(v) for v in value]


def cut_box(box: Sequence[float], width: float, height: float) -> list[float] | None:
    """The part of `[x, y, width, height]` inside an image; None for none."""
    x, y, w, h = box
    corners = cut_corners((x, y, x + w, y + h), width, height)
    if corners is None:
        return None
    x1, y1, x2, y2 = corners
    return [x1, y1, x2 - x1, y2 - y1]


def cut_corners(box: Sequence[float], width: float, height: float) -> list[float] | None:
    """The part of `[x1, y1, x2, y2]` inside an image; None for none."""
    x1, x2 = (min(max(x, 0.0), width) for x in (box[0], box[2]))
    y1, y2 = (min(max(y, 0.0), height) for y in (box[1], box[3]))
    return [x1, y1, x2, y2] if x1 < x2 and y1 < y2 else None


def outlines(
    segmentation: Any, width: float, height: float, path: Path, where: str
) -> list[list[float]]:
    """COCO's outlines of an object, `[x, y, x, y, ...]` each; none for one drawn as runs.

    Those of fewer than three corners are left out.

    Raises:
        UserError: when they are something else.
    """
    if not isinstance(segmentation, list):  # runs of pixels: a crowd
        return []
    found = []
    for number, outline in enumerate(segmentation):
        corners = numbers(outline, path, f"{where}.segmentation.{number}")
        sides = (width, height)
        if len(corners) >= 6:
            found.append([min(max(v, 0.0), sides[n % 2]) for n, v in enumerate(corners)])
    return found


def box_of(annotation: Any, path: Path, where: str) -> list[float]:
    """COCO's box of an object, `[x, y, width, height]`: its own, or that of its segmentation.

    Raises:
        UserError: when it is something else, or there is neither.
    """
    drawn = annotation.get("segmentation")
    if annotation.get("bbox") or not drawn:
        return numbers(member(annotation, "bbox", list, path, where), path, f"{where}.bbox", 4)
    if isinstance(drawn, dict):
        return _box_of_runs(drawn, path, f"{where}.segmentation")
    xy = [
        v for n, each in enumerate(drawn) for v in numbers(each, path, f"{where}.segmentation.{n}")
    ]
    if not xy:
        raise UserError("is empty", file=path, field=f"{where}.segmentation", expected="corners")
    x, y = min(xy[::2]), min(xy[1::2])
    return [x, y, max(xy[::2]) - x, max(xy[1::2]) - y]


def _box_of_runs(runs: Any, path: Path, where: str) -> list[float]:
    """The box of a mask as runs of pixels, `{"size": [height, width], "counts": ...}`."""
    from pycocotools import mask

    height, width = (
        int(v) for v in numbers(member(runs, "size", list, path, where), path, where, 2)
    )
    counts = runs.get("counts")
    whole = isinstance(counts, list) and all(isinstance(n, int) and n >= 0 for n in counts)
    if not isinstance(counts, str) and not (whole and sum(counts) == height * width):
        message = f"found {str(counts)[:60]!r}"
        expected = f"runs of {height} x {width} pixels"
        raise UserError(message, file=path, field=f"{where}.counts", expected=expected)
    if isinstance(counts, str):
        return [float(v) for v in mask.toBbox({"size": [height, width], "counts": counts.encode()})]
    return [float(v) for v in mask.toBbox(mask.frPyObjects(runs, height, width))]


def size_of(image: Any, path: Path, where: str) -> tuple[float, float]:
    """Width and height of an image, in pixels.

    Raises:
        UserError: when the file does not say them.
    """
    width, height = (float(member(image, key, float, path, where)) for key in ("width", "height"))
    return width, height
