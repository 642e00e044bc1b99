"""CVAT's XML, version 1.1, for images (opencv.github.io/cvat, "CVAT format")."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unified_vl.errors import nearest
from unified_vl.readers.detections import (
    Annotations,
    Picture,
    Thing,
    detection_reader,
    outlined,
)
from unified_vl.readers.xml_elements import Element, elements_of

_EXPECTED = "`CVAT for images 1.1`"


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The images of a file. What is neither box, polygon nor mask is counted as lost."""
    labels: list[str] = []
    place = 0
    for element in elements_of(opened.path, "annotations", _EXPECTED):
        if element.name == "meta":
            labels = list(_labels(element))
        elif element.name == "track":
            raise element.error("has <track>: it is CVAT's format for video", expected=_EXPECTED)
        elif element.name == "image":
            things = [thing for child in element.children for thing in _things(child, opened)]
            for child in element.children:
                if labels and (label := child.attributes.get("label")) not in labels:
                    close = nearest(str(label), labels)
                    raise child.error(f"{label!r} is no label of <meta>", nearest=close)
            name = element.attribute("name")
            sides = element.numeric("width"), element.numeric("height")
            yield Picture(name, tuple(things), sides, place=place)
            place += 1


def _labels(element: Element) -> Iterator[str]:
    """Names of all labels that stand somewhere in <meta>."""
    for child in element.children:
        if child.name == "label":
            yield child.said("name")
        else:
            yield from _labels(child)


def _things(element: Element, opened: Annotations) -> Iterator[Thing]:
    """The object of an element; none where it has no area."""
    if element.name == "box":
        label = element.attribute("label")
        x1, y1, x2, y2 = (element.numeric(side) for side in ("xtl", "ytl", "xbr", "ybr"))
        turn = math.radians(element.numeric("rotation")) if "rotation" in element.attributes else 0
        yield Thing(label, (x1, y1, x2, y2)) if not turn else _turned(label, x1, y1, x2, y2, turn)
    elif element.name == "polygon":
        yield outlined(element.attribute("label"), _points(element))
    elif element.name == "mask":
        opened.lost["outlines of masks (their boxes are kept)"] += 1
        x, y, w, h = (element.numeric(side) for side in ("left", "top", "width", "height"))
        yield Thing(element.attribute("label"), (x, y, x + w, y + h))
    else:
        opened.lost[f"CVAT annotations <{element.name}>"] += 1


def _points(element: Element) -> tuple[float, ...]:
    """The numbers of `points="x,y;x,y;..."`."""
    said = element.attribute("points")
    pairs = [pair.split(",") for pair in said.split(";") if pair.strip()]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise element.error(f"'points' is {said[:60]!r}", expected="x,y;x,y;x,y of a polygon")
    return tuple(element.as_number(v, "'points'") for pair in pairs for v in pair)


def _turned(label: str, x1: float, y1: float, x2: float, y2: float, turn: float) -> Thing:
    """A box that was turned about its centre, by its corners."""
    cx, cy, cos, sin = (x1 + x2) / 2, (y1 + y2) / 2, math.cos(turn), math.sin(turn)
    corners = [(x - cx, y - cy) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    return outlined(
        label,
        tuple(v for x, y in corners for v in (cx + x * cos - y * sin, cy + x * sin + y * cos)),
    )


CVAT = detection_reader(
    "cvat",
    "`CVAT for images 1.1`: XML with boxes, also turned ones (as the box around them), "
    "polygons, and the boxes of masks.",
    pictures,
)
