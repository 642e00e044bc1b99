"""Create ML's JSON (developer.apple.com, "Building an object detector data source")."""

from __future__ import annotations

from collections.abc import Iterator

from unified_vl.geometry import corners
from unified_vl.readers.detections import Annotations, Picture, Thing, detection_reader
from unified_vl.readers.json_files import member, read_items


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The images of a file; a box there is its centre and its size, in pixels."""
    path = opened.path
    for place, (where, entry) in enumerate(read_items(path, list)):
        key = "imagefilename" if "imagefilename" in entry else "image"  # the former of old
        name = member(entry, key, str, path, where)
        things = []
        for number, each in enumerate(member(entry, "annotations", list, path, where)):
            at = f"{where}.annotations.{number}"
            label = member(each, "label", str, path, at)
            box = member(each, "coordinates", dict, path, at)
            sides = ("x", "y", "width", "height")
            values = [float(member(box, side, float, path, f"{at}.coordinates")) for side in sides]
            things.append(Thing(label, corners(values, "cxcywh")))
        yield Picture(name, tuple(things), place=place)


CREATEML = detection_reader(
    "createml",
    "Create ML's JSON: a list of images with boxes.",
    pictures,
    outlines=False,
    sized=False,
)
