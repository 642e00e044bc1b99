"""Label Studio's JSON export (labelstud.io/guide/export): percentages of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from unified_vl.errors import UserError
from unified_vl.readers.detections import (
    Annotations,
    Picture,
    Thing,
    detection_reader,
    outlined,
)
from unified_vl.readers.json_files import member, read_items

_EXPECTED = "Label Studio's export as JSON (not JSON-MIN)"
_DRAWN = ("rectangle", "polygon", "ellipse")


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The tasks of an export: the first annotation of each that was not cancelled.

    Tasks without one are left out and counted; further annotations, and regions that are
    neither rectangle, polygon nor ellipse, are counted as lost.
    """
    path = opened.path
    for place, (where, task) in enumerate(read_items(path, list)):
        if not isinstance(task, dict) or "annotations" not in task:
            message = "has no annotations"
            raise UserError(message, file=path, field=where, expected=_EXPECTED)
        listed = member(task, "annotations", list, path, where)
        done = [(n, a) for n, a in enumerate(listed) if not a.get("was_cancelled")]
        if not done:
            opened.left_out["are not annotated"] += 1
            continue
        if len(done) > 1:
            opened.lost["further annotations of a task"] += len(done) - 1
        number, annotation = done[0]
        at = f"{where}.annotations.{number}"
        results = member(annotation, "result", list, path, at)
        things = [
            thing
            for n, result in enumerate(results)
            for thing in _things(result, opened, f"{at}.result.{n}")
        ]
        sizes = [(r["original_width"], r["original_height"]) for r in results if _is_sized(r)]
        size = sizes[0] if sizes else None
        yield Picture(_image(task, path, where), tuple(things), size, place=place)


def _is_sized(result: Any) -> bool:
    sides = ("original_width", "original_height")
    return isinstance(result, dict) and all(isinstance(result.get(s), int | float) for s in sides)


def _image(task: Any, path: Path, where: str) -> str:
    """The image's name: what is left of the address that Label Studio gave its upload."""
    data = member(task, "data", dict, path, where)
    texts = [value for value in data.values() if isinstance(value, str)]
    said = data.get("image") if isinstance(data.get("image"), str) else next(iter(texts), None)
    if said is None:
        raise UserError("names no image", file=path, field=f"{where}.data", expected="`image`")
    address = urlsplit(said)
    local = parse_qs(address.query).get("d")
    if local:
        return local[0]
    return unquote(address.path).rsplit("/", 1)[-1] if "/" in said else said


def _things(result: Any, opened: Annotations, where: str) -> Iterator[Thing]:
    path = opened.path
    kind = member(result, "type", str, path, where)
    shape = kind.removesuffix("labels")
    if shape not in _DRAWN:
        opened.lost[f"Label Studio results of type {kind!r}"] += 1
        return
    value = member(result, "value", dict, path, where)
    at = f"{where}.value"
    if result.get("image_rotation"):
        opened.lost["objects of images that were turned in Label Studio"] += 1
        return
    labels = value.get(kind) or value.get("labels") or []
    if not labels:
        opened.lost["shapes without a label"] += 1
    for label in labels:
        yield _thing(str(label), shape, value, result, path, at)


def _thing(label: str, shape: str, value: Any, result: Any, path: Path, at: str) -> Thing:
    def number(key: str) -> float:
        return float(member(value, key, float, path, at)) / 100

    if shape == "polygon":
        points = member(value, "points", list, path, at)
        try:
            xy = tuple(float(v) / 100 for x, y in points for v in (x, y))
        except (TypeError, ValueError) as error:
            message = f"found {str(points)[:60]!r}"
            place = f"{at}.points"
            raise UserError(message, file=path, field=place, expected="[[x, y], ...]") from error
        if len(xy) < 6:
            raise UserError(f"a polygon of {len(points)} points", file=path, field=f"{at}.points")
        return outlined(label, xy)
    x, y = number("x"), number("y")
    if shape == "ellipse":
        rx, ry = number("radiusX"), number("radiusY")
        return Thing(label, (x - rx, y - ry, x + rx, y + ry))
    w, h = number("width"), number("height")
    turn = math.radians(float(value.get("rotation") or 0))
    if not turn:
        return Thing(label, (x, y, x + w, y + h))
    # about the upper left corner, in pixels, clockwise
    sides = [float(member(result, f"original_{k}", float, path, at)) for k in ("width", "height")]
    width, height = sides
    corners = ((0.0, 0.0), (w * width, 0.0), (w * width, h * height), (0.0, h * height))
    cos, sin = math.cos(turn), math.sin(turn)
    turned = [((a * cos - b * sin) / width, (a * sin + b * cos) / height) for a, b in corners]
    return outlined(label, tuple(v for a, b in turned for v in (x + a, y + b)))


LABEL_STUDIO = detection_reader(
    "label_studio",
    "Label Studio's export as JSON: rectangles, polygons and ellipses of the first annotation "
    "of each task. An image is named by the last part of its address, or by what stands "
    "behind `?d=` of a local file.",
    pictures,
    relative=True,
)
