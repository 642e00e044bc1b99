"""COCO's annotation files (Lin et al., arXiv 1405.0312; cocodataset.org, "Data format")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.data.readers.annotations import member, read_json, reader_of
from unified_vl.data.readers.reader import Source
from unified_vl.errors import UserError


def images_of(content: Any, path: Path) -> dict[int, dict[str, Any]]:
    """The images of an annotation file by id, in its order."""
    images: dict[int, dict[str, Any]] = {}
    for number, image in enumerate(member(content, "images", list, path)):
        where = f"images.{number}"
        member(image, "file_name", str, path, where)
        images[member(image, "id", int, path, where)] = image
    return images


def annotations_by_image(content: Any, path: Path) -> dict[int, list[dict[str, Any]]]:
    """The annotations of each image by its id, in the order of the images.

    Raises:
        UserError: for an annotation of an image that the file does not list.
    """
    found: dict[int, list[dict[str, Any]]] = {key: [] for key in images_of(content, path)}
    for number, annotation in enumerate(member(content, "annotations", list, path)):
        where = f"annotations.{number}"
        image = member(annotation, "image_id", int, path, where)
        if image not in found:
            raise UserError(f"there is no image {image}", file=path, field=f"{where}.image_id")
        found[image].append(annotation)
    return found


def _captions(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    content = read_json(path)
    images = images_of(content, path)
    for key, found in annotations_by_image(content, path).items():
        captions = [member(each, "caption", str, path, "annotations") for each in found]
        yield {"key": str(key), "image": images[key]["file_name"], "captions": captions}


coco_captions = reader_of("coco_captions", _captions)
