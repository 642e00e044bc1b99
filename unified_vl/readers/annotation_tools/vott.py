"""VoTT's JSON (github.com/microsoft/VoTT): an export, or the files of its assets in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from unified_vl.errors import UserError, nearest
from unified_vl.readers.detections import Annotations, Picture, Thing, detection_reader
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.regions import size_of

_SIDES = ("left", "top", "width", "height")


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The assets of an export. A region with several tags is several objects."""
    path = opened.path
    content = read_json(path)
    tags = [
        member(tag, "name", str, path, f"tags.{n}")
        for n, tag in enumerate(content.get("tags") or () if isinstance(content, dict) else ())
    ]
    for place, (key, entry) in enumerate(member(content, "assets", dict, path).items()):
        where = f"assets.{key}"
        asset = member(entry, "asset", dict, path, where)
        name = unquote(member(asset, "name", str, path, f"{where}.asset"))
        size = size_of(asset["size"], path, f"{where}.asset.size") if "size" in asset else None
        regions = member(entry, "regions", list, path, where)
        things = [
            thing
            for number, region in enumerate(regions)
            for thing in _things(region, tags, path, f"{where}.regions.{number}")
        ]
        yield Picture(name, tuple(things), size, place=place)


def _things(region: Any, known: list[str], path: Path, where: str) -> Iterator[Thing]:
    box = member(region, "boundingBox", dict, path, where)
    at = f"{where}.boundingBox"
    x, y, w, h = (float(member(box, side, float, path, at)) for side in _SIDES)
    outline: tuple[float, ...] = ()
    if region.get("type") == "POLYGON":
        points = member(region, "points", list, path, where)
        outline = tuple(
            float(member(point, side, float, path, f"{where}.points.{n}"))
            for n, point in enumerate(points)
            for side in ("x", "y")
        )
    for tag in member(region, "tags", list, path, where):
        if known and tag not in known:
            message = f"{tag!r} is none of the project's tags"
            close = nearest(str(tag), known)
            raise UserError(message, file=path, field=f"{where}.tags", nearest=close)
        yield Thing(str(tag), (x, y, x + w, y + h), outline if len(outline) >= 6 else ())


VOTT = detection_reader(
    "vott",
    "VoTT's export as JSON: the regions of its assets, one for each of its tags.",
    pictures,
)
