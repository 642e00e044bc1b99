"""COCO's annotation files (Lin et al., arXiv 1405.0312; cocodataset.org, "Data format").

NoCaps (arXiv 1812.08658) writes its captions the same way, and says each image's domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import BOX, IMAGE, STATED_SIZE, Column
from unified_vl.readers.detections import Annotations, Picture, Thing
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.regions import box_of, cut_box, cut_corners, numbers, outlines, size_of
from unified_vl.readers.source import Source

SIZES = ((32**2, "small"), (96**2, "medium"))  # COCO's limits of the area, in pixels
_NO_OBJECT = "have no object, and no field has empty: true"
_NOT_INSIDE = "objects without a part inside their image"
UNLABELLED, HIDDEN = 0, 1  # COCO's marks of keypoints; 2 is one that can be seen


def images_of(content: Any, path: Path) -> dict[int, dict[str, Any]]:
    """The images of an annotation file by id, in its order."""
    images: dict[int, dict[str, Any]] = {}
    for number, image in enumerate(member(content, "images", list, path)):
        where = f"images.{number}"
        member(image, "file_name", str, path, where)
        images[member(image, "id", int, path, where)] = image
    return images


def annotations_of(content: Any, path: Path) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every annotation: its place in the file, itself, and the id of its image.

    Raises:
        UserError: for an annotation of an image that the file does not list.
    """
    images = images_of(content, path)
    for number, annotation in enumerate(member(content, "annotations", list, path)):
        where = f"annotations.{number}"
        image = member(annotation, "image_id", int, path, where)
        if image not in images:
            raise UserError(f"there is no image {image}", file=path, field=f"{where}.image_id")
        yield where, annotation, image


def categories_of(content: Any, path: Path) -> dict[int, dict[str, Any]]:
    """The categories of an annotation file by id."""
    categories: dict[int, dict[str, Any]] = {}
    for number, category in enumerate(member(content, "categories", list, path)):
        where = f"categories.{number}"
        member(category, "name", str, path, where)
        categories[member(category, "id", int, path, where)] = category
    return categories


def category_of(
    annotation: Any, categories: dict[int, dict[str, Any]], path: Path, where: str
) -> dict[str, Any]:
    """The category of an annotation.

    Raises:
        UserError: for one that the file does not list.
    """
    key = member(annotation, "category_id", int, path, where)
    if key not in categories:
        raise UserError(f"there is no category {key}", file=path, field=f"{where}.category_id")
    return categories[key]


def _captions(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    content = read_json(path)
    images = images_of(content, path)
    captions: dict[int, list[str]] = {key: [] for key in images}
    for where, annotation, key in annotations_of(content, path):
        captions[key].append(member(annotation, "caption", str, path, where))
    for key, said in captions.items():
        image = images[key]
        yield {
            "key": str(key),
            "image": image["file_name"],
            "captions": said,
            "domain": image.get("domain"),
        }


def _objects(source: Source) -> Iterator[dict[str, Any]]:
    """A row an object; none for crowds, and for boxes with nothing inside the image."""
    path = source.path
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    for where, annotation, key in annotations_of(content, path):
        if annotation.get("iscrowd"):
            continue
        width, height = size_of(images[key], path, f"images of id {key}")
        box = cut_box(box_of(annotation, path, where), width, height)
        drawn = outlines(annotation.get("segmentation"), width, height, path, where)
        if box is None:
            source.leave_out(1, "have a box without a part inside the image")
            continue
        if "polygons" in source.needed and not drawn:
            source.leave_out(1, "have no outline, but a mask of runs or nothing")
            continue
        drawn_on = "area" in annotation  # the object itself, and not its box
        area = member(annotation, "area", float, path, where) if drawn_on else box[2] * box[3]
        yield {
            "key": str(member(annotation, "id", int, path, where)),
            "image": images[key]["file_name"],
            "image_id": key,
            "category": category_of(annotation, categories, path, where)["name"],
            "box": box,
            "polygons": drawn,
            "size": next((name for limit, name in SIZES if area < limit), "large"),
            "width": width,
            "height": height,
        }


def _instances(source: Source) -> Iterator[dict[str, Any]]:
    """A row an image, its objects from the largest to the smallest."""
    path = source.path
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    objects: dict[int, list[tuple[list[float], str]]] = {key: [] for key in images}
    unclear = set()  # images that show something, of which no box is known
    for where, annotation, key in annotations_of(content, path):
        width, height = size_of(images[key], path, f"images of id {key}")
        crowd = annotation.get("iscrowd")
        box = None if crowd else cut_box(box_of(annotation, path, where), width, height)
        if box is None:
            unclear.add(key)
            source.lose(_NOT_INSIDE, not crowd)
            continue
        name = category_of(annotation, categories, path, where)["name"]
        objects[key].append((box, name))
    by = source.field_of("boxes") if "boxes" in source.needed else None
    for key, found in objects.items():
        if not found and (key in unclear or by is None or not by.empty):
            source.leave_out(key not in unclear and by is not None, _NO_OBJECT)
            continue
        found.sort(key=lambda each: -each[0][2] * each[0][3])
        yield {
            "key": str(key),
            "image": images[key]["file_name"],
            "boxes": [box for box, _ in found],
            "labels": [name for _, name in found],
            "width": images[key].get("width"),
            "height": images[key].get("height"),
        }


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The images of a file with their objects, in the file's order; crowds have no box."""
    path = opened.path
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    things: dict[int, list[Thing]] = {key: [] for key in images}
    for where, annotation, key in annotations_of(content, path):
        if annotation.get("iscrowd"):
            opened.lost["crowds, which have no box of one object"] += 1
            continue
        width, height = size_of(images[key], path, f"images of id {key}")
        x, y, w, h = box_of(annotation, path, where)
        drawn = (x, y, x + w, y + h)
        corners = cut_corners(drawn, width, height)
        if corners is None:
            opened.lost[_NOT_INSIDE] += 1
            continue
        if corners != [*drawn]:
            opened.lost["boxes that left their image, cut off at its edges"] += 1
        name = category_of(annotation, categories, path, where)["name"]
        outline = outlines(annotation.get("segmentation"), width, height, path, where)
        x1, y1, x2, y2 = corners
        things[key].append(Thing(name, (x1, y1, x2, y2), tuple(outline[0]) if outline else ()))
    for place, (key, found) in enumerate(things.items()):
        image = images[key]
        known = found or {"width", "height"} <= set(image)
        sides = size_of(image, path, f"images of id {key}") if known else None
        yield Picture(image["file_name"], tuple(found), sides, place=place)


def _keypoints(source: Source) -> Iterator[dict[str, Any]]:
    """A row a labelled point of a person; none for objects of categories without points."""
    path = source.path
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    for where, annotation, key in annotations_of(content, path):
        if annotation.get("iscrowd"):
            continue
        category = category_of(annotation, categories, path, where)
        marks = (
            member(annotation, "keypoints", list, path, where) if _is_pointed(annotation) else []
        )
        names = category.get("keypoints") or []
        if not names and any(marks):
            found = f"the category {category['name']!r} names no keypoints, and {where} has some"
            raise UserError(found, file=path, field="categories", expected="`keypoints`: names")
        if not names:
            source.leave_out(1, "are of a category without keypoints")
            continue
        names = member(category, "keypoints", list, path, "categories")
        marks = member(annotation, "keypoints", list, path, where)
        values = numbers(marks, path, f"{where}.keypoints", 3 * len(names))
        width, height = size_of(images[key], path, f"images of id {key}")
        box = cut_box(box_of(annotation, path, where), width, height)
        if box is None:
            source.leave_out(1, "have a box without a part inside the image")
            continue
        person = member(annotation, "id", int, path, where)
        for name, x, y, mark in zip(names, values[::3], values[1::3], values[2::3], strict=True):
            if mark == UNLABELLED:
                continue
            yield {
                "key": f"{person}_{name}",
                "person": str(person),
                "area": annotation.get("area"),
                "image": images[key]["file_name"],
                "box": box,
                "name": str(name).replace("_", " "),
                "point": [min(max(x, 0.0), width), min(max(y, 0.0), height)],
                "visible": "hidden" if mark == HIDDEN else "visible",
                "width": width,
                "height": height,
            }


def _is_pointed(annotation: dict[str, Any]) -> bool:
    return annotation.get("keypoints") is not None


COCO_CAPTIONS = Reader(
    "coco_captions",
    "COCO's caption annotations, and those of NoCaps: a row an image.",
    rows=_captions,
    columns={
        "key": Column("text", "the image's id"),
        "image": IMAGE,
        "captions": Column("texts", "its captions"),
        "domain": Column("text", "in-domain, near-domain or out-domain (NoCaps alone)"),
    },
)
COCO_INSTANCES = Reader(
    "coco_instances",
    "COCO's object annotations: a row an image with an object, or any image where the field of "
    "the boxes has `empty: true`. Crowds are left out, and images that show crowds alone. An "
    "object without `bbox` has the box around its segmentation.",
    rows=_instances,
    columns={
        "key": Column("text", "the image's id"),
        "image": IMAGE,
        "boxes": Column("boxes", "[x, y, width, height] in pixels, the largest first"),
        "labels": Column("texts", "the category of each box"),
        **STATED_SIZE,
    },
)
COCO_OBJECTS = Reader(
    "coco_objects",
    "COCO's object annotations: a row an object. Crowds are left out. Objects drawn as runs "
    "of pixels have a box, and no outlines: tasks of outlines leave them out and count them.",
    rows=_objects,
    columns={
        "key": Column("text", "the annotation's id"),
        "image": IMAGE,
        "category": Column("text", "its category"),
        "box": BOX,
        "polygons": Column("polygons", "its outlines, [x, y, x, y, ...] each, in pixels"),
        "size": Column("text", "small, medium or large: COCO's limits, 32 and 96 pixels squared"),
        **STATED_SIZE,
    },
)
COCO_KEYPOINTS = Reader(
    "coco_keypoints",
    "COCO's keypoint annotations: a row a labelled point of a person.",
    rows=_keypoints,
    columns={
        "key": Column("text", "the annotation's id and the point's name"),
        "image": IMAGE,
        "box": Column("box", "the person: [x, y, width, height] in pixels"),
        "person": Column("text", "the annotation's id, the same for all points of a person"),
        "area": Column("number", "of the person's outline, in pixels"),
        "name": Column("text", "what the point is: left shoulder"),
        "point": Column("numbers", "[x, y] in pixels"),
        "visible": Column("text", "visible or hidden"),
        **STATED_SIZE,
    },
)
