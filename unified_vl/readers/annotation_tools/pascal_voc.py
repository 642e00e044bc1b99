"""Pascal VOC's tree (Everingham et al., IJCV 2010), as many tools write it: a file an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unified_vl.errors import UserError, nearest
from unified_vl.readers.detections import (
    LOOKED_FOR,
    Annotations,
    Picture,
    Thing,
    around,
    detection_reader,
    files_of,
)
from unified_vl.readers.xml_elements import Element, elements_of

LISTS = ("ImageSets", "Main")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_EXPECTED = "Pascal VOC's <annotation>"


def pictures(opened: Annotations) -> Iterator[Picture]:
    """The pictures of a tree, those of a list of `ImageSets/Main` where there is one."""
    for path in _files(opened):
        yield _picture(path, opened)


def _files(opened: Annotations) -> list[Path]:
    folder, split = opened.path, opened.split
    below = folder / "Annotations"
    lists = folder.joinpath(*LISTS)
    if not lists.is_dir() and not opened.alone:
        message = f"has no {'/'.join(LISTS)} to tell its splits apart"
        raise UserError(message, file=folder, expected="it, or {split} in data.path")
    if split is None or not lists.is_dir():
        return files_of(below if below.is_dir() else folder, ".xml")
    path = lists / f"{split}.txt"
    if not path.is_file():
        close = nearest(split, (p.stem for p in lists.glob("*.txt")))
        raise UserError(
            f"there is no list {path.name!r}", file=lists, field="data.splits", nearest=close
        )
    found = []
    for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not (words := text.split()):
            continue
        file = (below / f"{words[0]}.xml").resolve()
        if not file.is_relative_to(below.resolve()) or not file.is_file():
            message = f"there is no {words[0] + '.xml'!r} in {below.name!r}"
            raise UserError(message, file=path, line=line)
        found.append(below / f"{words[0]}.xml")
    return found


def _picture(path: Path, opened: Annotations) -> Picture:
    name = ""
    size: tuple[float, float] | None = None
    things = []
    for element in elements_of(path, "annotation", _EXPECTED):
        if element.name == "filename":
            name = element.text.strip()
        elif element.name == "size":
            size = _size(element)
        elif element.name == "object":
            things.append(_thing(element))
    if not name:
        raise UserError("has no <filename>", file=path, expected=_EXPECTED)
    beside = (path.parent, *(path.parent.parent / f for f in ("JPEGImages", "images")))
    image = opened.image(name, *beside)
    return Picture(image, tuple(things), size, file=path)


def _size(element: Element) -> tuple[float, float] | None:
    width, height = element.number("width"), element.number("height")
    return (width, height) if width > 0 and height > 0 else None  # 0: it was not known


def _thing(element: Element) -> Thing:
    label = element.said("name")
    outline: tuple[float, ...] = ()
    polygon = element.find("polygon")
    if polygon is not None:  # <x1>, <y1>, <x2>, <y2>, ... as Roboflow has it
        outline = tuple(
            child.as_number(child.text, f"<{child.name}>") for child in polygon.children
        )
        if len(outline) < 6 or len(outline) % 2:
            raise polygon.error(f"<polygon> has {len(outline)} numbers", expected="three corners")
    if element.find("bndbox") is None and outline:
        return Thing(label, around(outline), outline)
    box = element.child("bndbox")
    x1, y1, x2, y2 = (box.number(side) for side in _SIDES)
    return Thing(label, (x1, y1, x2, y2), outline)


PASCAL_VOC = detection_reader(
    "pascal_voc",
    "Pascal VOC's tree: a folder of XML files, or of `Annotations` and `ImageSets/Main`, whose "
    "lists `train.txt`, `val.txt` and so on then are the splits. Pixels are those of the "
    f"files: PASCAL's own count from 1.{LOOKED_FOR}, in `JPEGImages` and in `images`.",
    pictures,
    path="folder",
    own_splits=True,
)
