"""YOLO's folders, as Ultralytics reads them (docs.ultralytics.com, "Datasets").

`data.yaml` says where the images of each split are and what its classes are called; beside each
`images/a.jpg` lies `labels/a.txt`, with a line an object: its class and its box or outline, as
fractions. An image without that file shows no object.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.geometry import corners
from unified_vl.image_formats import is_image
from unified_vl.readers.detections import (
    Annotations,
    Picture,
    Thing,
    detection_reader,
    outlined,
)
from unified_vl.yaml_text import parse_yaml

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataSet:
    """What a `data.yaml` says.

    Attributes:
        path: the file.
        names: of the classes by their numbers.
        splits: where the images of each are: folders, or files with a list of images.
        keypoints: whether keypoints follow each box.
    """

    path: Path
    names: Mapping[int, str]
    splits: Mapping[str, list[Path]]
    keypoints: bool


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The images of a split, or of all of them."""
    found = data_set(opened.path)
    if opened.split is not None and opened.split not in found.splits:
        close = nearest(opened.split, found.splits)
        message = f"has no split {opened.split!r}"
        known = ", ".join(found.splits)
        raise UserError(message, file=opened.path, expected=f"one of {known}", nearest=close)
    splits = found.splits if opened.split is None else [opened.split]
    labelled = False
    images = []
    for split in splits:
        for place in found.splits[split]:
            if not place.is_relative_to(opened.root):
                message = f"{str(place)!r} leaves the data root"
                expected = "a data root that holds the images too"
                raise UserError(message, file=opened.path, field=split, expected=expected)
            images += _images(place, opened)
    for image in images:
        path = _labels_of(image)
        labelled = labelled or path.is_file()
        things = tuple(_things(path, found, opened)) if path.is_file() else ()
        yield Picture(opened.image(image.name, image.parent), things, file=path)
    if not labelled:
        where = _labels_of(images[0]).parent if images else opened.path
        raise UserError("holds no labels", file=where, expected="a .txt an image")


def data_set(path: Path) -> DataSet:
    """What a `data.yaml` says.

    Raises:
        UserError: when it lacks the classes or every split, or leads nowhere.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    values, _ = parse_yaml(text, path)
    base = path.parent
    splits = {
        split: [_place(base, values.get("path"), each, path, split) for each in _listed(value)]
        for split in SPLITS
        if (value := values.get(split))
    }
    if not splits:
        raise UserError("names no images", file=path, expected="`train`, `val` or `test`")
    return DataSet(path, _names(values, path), splits, "kpt_shape" in values)


def _names(values: Mapping[str, Any], path: Path) -> dict[int, str]:
    names = values.get("names")
    if isinstance(names, list) and names:
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and names and all(str(k).isdecimal() for k in names):
        return {int(number): str(name) for number, name in names.items()}
    message = "is missing" if names is None else f"found {str(names)[:60]!r}"
    raise UserError(message, file=path, field="names", expected="a list of the classes")


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _place(base: Path, root: Any, name: str, path: Path, split: str) -> Path:
    """The folder or list of a split, wherever the several tools write it relative to."""
    plain = name
    while plain.startswith("../"):  # Roboflow's, of a folder further down than the file's
        plain = plain[3:]
    places = [base / str(root or "") / name, base / name, base / plain]
    found = next((Path(os.path.normpath(place)) for place in places if place.exists()), None)
    if found is None:
        message = f"there is no {name!r}"
        raise UserError(message, file=path, field=split, expected=f"a folder below {str(base)!r}")
    return found


def _images(place: Path, opened: Annotations) -> list[Path]:
    """The images of a folder, or those that a file lists."""
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if is_image(path) and path.is_file())
    found = []
    for line, text in enumerate(place.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not (name := text.strip()):
            continue
        places = (place.parent / name, opened.path.parent / name)
        image = next((Path(os.path.normpath(each)) for each in places if each.is_file()), None)
        if image is None or not image.is_relative_to(opened.root):
            what = "there is no image" if image is None else "outside the data root lies"
            raise UserError(f"{what} {name!r}", file=place, line=line)
        found.append(image)
    return found


def _labels_of(image: Path) -> Path:
    """Where the labels of an image are: the last folder `images` of its path becomes `labels`."""
    parts = list(image.with_suffix(".txt").parts)
    for at in reversed(range(len(parts) - 1)):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts)


def _things(path: Path, found: DataSet, opened: Annotations) -> Iterator[Thing]:
    for line, text in enumerate(path.read_bytes().splitlines(), 1):
        if not text.strip():
            continue
        try:
            number, *values = (float(word) for word in text.split())
            if not all(map(math.isfinite, (number, *values))):
                raise ValueError
        except ValueError as error:
            message = f"found {text[:60].decode(errors='replace')!r}"
            expected = "a class and fractions"
            raise UserError(message, file=path, line=line, expected=expected) from error
        if number not in found.names:
            message = f"there is no class {number:g}"
            known = f"one of the {len(found.names)} of {found.path.name}"
            raise UserError(message, file=path, line=line, expected=known)
        label = found.names[int(number)]
        if found.keypoints and len(values) > 4:
            opened.lost["keypoints of objects"] += 1
            values = values[:4]
        if len(values) == 4:
            yield Thing(label, corners(values, "cxcywh"))
        elif len(values) >= 6 and len(values) % 2 == 0:
            yield outlined(label, tuple(values))
        else:
            expected = "centre and size of a box, or three corners or more"
            message = f"found {len(values)} numbers behind the class"
            raise UserError(message, file=path, line=line, expected=expected)


YOLO = detection_reader(
    "yolo",
    "YOLO's `data.yaml`, which names the folders of the images of `train`, `val` and `test` "
    "and the classes, with a text file an image below `labels`: boxes or outlines, not "
    "keypoints.",
    pictures,
    relative=True,
    sized=False,
    images="never",
    own_splits=True,
)
