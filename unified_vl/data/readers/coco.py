"""COCO's annotation files (Lin et al., arXiv 1405.0312; cocodataset.org, "Data format").

NoCaps (arXiv 1812.08658) writes its captions the same way, and says each image's domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.data.readers.annotations import member, read_json, reader_of
from unified_vl.data.readers.reader import Source
from unified_vl.data.readers.regions import cut_box, numbers, outlines, size_of
from unified_vl.errors import UserError

SIZES = ((32**2, "small"), (96**2, "medium"))  # COCO's limits of the area, in pixels
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
        corner = numbers(member(annotation, "bbox", list, path, where), path, f"{where}.bbox", 4)
        box = cut_box(corner, width, height)
        drawn = outlines(annotation.get("segmentation"), width, height, path, where)
        if box is None or ("polygons" in source.needed and not drawn):
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
        }


def _instances(source: Source) -> Iterator[dict[str, Any]]:
    """A row an image, its objects from the largest to the smallest."""
    by_image: dict[int, list[dict[str, Any]]] = {}
    for found in _objects(source):
        by_image.setdefault(found["image_id"], []).append(found)
    for key, objects in by_image.items():
        objects.sort(key=lambda found: -found["box"][2] * found["box"][3])
        yield {
            "key": str(key),
            "image": objects[0]["image"],
            "boxes": [found["box"] for found in objects],
            "labels": [found["category"] for found in objects],
        }


def _keypoints(source: Source) -> Iterator[dict[str, Any]]:
    """A row a labelled point of a person."""
    path = source.path
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    for where, annotation, key in annotations_of(content, path):
        if annotation.get("iscrowd"):
            continue
        category = category_of(annotation, categories, path, where)
        names = member(category, "keypoints", list, path, "categories")
        place = f"{where}.keypoints"
        marks = member(annotation, "keypoints", list, path, where)
        values = numbers(marks, path, place, 3 * len(names))
        width, height = size_of(images[key], path, f"images of id {key}")
        corner = numbers(member(annotation, "bbox", list, path, where), path, f"{where}.bbox", 4)
        box = cut_box(corner, width, height)
        points = zip(names, values[::3], values[1::3], values[2::3], strict=True)
        for name, x, y, mark in points if box is not None else ():
            if mark == UNLABELLED:
                continue
            yield {
                "key": f"{member(annotation, 'id', int, path, where)}_{name}",
                "image": images[key]["file_name"],
                "box": box,
                "name": str(name).replace("_", " "),
                "point": [min(max(x, 0.0), width), min(max(y, 0.0), height)],
                "visible": "hidden" if mark == HIDDEN else "visible",
            }


coco_captions = reader_of("coco_captions", _captions)
coco_instances = reader_of("coco_instances", _instances)
coco_objects = reader_of("coco_objects", _objects)
coco_keypoints = reader_of("coco_keypoints", _keypoints)
