"""Boxes of any annotation tool in another form: COCO's JSON, JSONL in pixels, or the tokens that
other models are tuned on; for those who need only that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from unified_vl.box_conventions import OFA_SIDE, to_florence, to_ofa, to_paligemma
from unified_vl.data.images.opening import open_image, orientation_of
from unified_vl.errors import UserError
from unified_vl.geometry import Box, to_pixels
from unified_vl.kinds.hooks.frames import Frame
from unified_vl.readers.benchmarks.coco import pictures as coco_pictures
from unified_vl.readers.detections import Annotations, Picture
from unified_vl.readers.registry import detection_readers

BoxFile = Literal["coco", "jsonl", "paligemma", "florence", "ofa"]
TARGETS: tuple[BoxFile, ...] = get_args(BoxFile)
COCO = "coco"  # whose readers of specs give other rows


def formats() -> tuple[str, ...]:
    """What `convert_boxes` reads."""
    return (COCO, *detection_readers())


@dataclass(frozen=True)
class Converted:
    """What a file was converted to.

    Attributes:
        text: of the new file.
        images: how many images it has.
        boxes: how many boxes.
        without: how many of the images have none.
        lost: how many things it is without, by what they are.
    """

    text: str
    images: int
    boxes: int
    without: int
    lost: Counter[str]


def convert_boxes(
    reader: str, path: Path, to: BoxFile, *, images: Path | None = None, split: str | None = None
) -> Converted:
    """Boxes of a tool's file or folder, in pixels.

    Args:
        reader: the format: `coco`, or as readers of specs are called.
        path: the file or folder.
        to: what to write: COCO's JSON, or a line an image, its boxes in pixels or in the tokens of
            the model that is named (`image`, `prefix`, `suffix`, as `reader: box_tokens` reads).
        images: the folder of the images, which says their sizes where the annotations do not.
        split: for formats that tell splits apart; None takes all.

    Raises:
        UserError: for a broken file, a box outside its image by a pixel or more, or an image
            whose size nothing says.
    """
    opened = Annotations(path, path if path.is_dir() else path.parent, split, named=True)
    of = detection_readers().get(reader)
    pictures = coco_pictures if of is None else of.pictures
    relative = of is not None and of.relative
    rows = [_row(picture, relative, path, images, opened.lost) for picture in pictures(opened)]
    if not rows:
        raise UserError("annotates no image", file=path)
    if to not in ("coco", "jsonl"):
        rows = [_in_tokens(row, to, opened.lost) for row in rows]
    lost = opened.lost + Counter({f"rows that {why}": n for why, n in opened.left_out.items()})
    text = (
        _coco(rows)
        if to == "coco"
        else "".join(json.dumps(_written(r, to), ensure_ascii=False) + "\n" for r in rows)
    )
    empty = sum(not row["boxes"] for row in rows)
    return Converted(text, len(rows), sum(len(row["boxes"]) for row in rows), empty, lost)


def _row(
    picture: Picture, relative: bool, path: Path, images: Path | None, lost: Counter[str]
) -> dict[str, Any]:
    width, height = picture.size or _size_on_disk(picture, path, images)
    frame = Frame(width, height, relative)
    boxes = []
    for thing in picture.things:
        try:
            box, beyond = frame.box(thing.box, "xyxy")
        except ValueError as error:
            raise UserError(str(error), file=picture.file or path, field=picture.image) from error
        if beyond:
            lost["edges that lay less than a pixel beyond their image, cut off there"] += 1
        if thing.outline:
            lost["outlines (their boxes are kept)"] += 1
        boxes.append([round(v, 4) for v in to_pixels(box, round(width), round(height))])
    labels = [thing.label for thing in picture.things]
    sides = {"width": round(width), "height": round(height)}
    return {"image": picture.image, **sides, "boxes": boxes, "labels": labels}


def _in_tokens(row: dict[str, Any], to: BoxFile, lost: Counter[str]) -> dict[str, Any]:
    """A row with the text of its boxes, without those that have no extent in the model's places."""
    width, height = row["width"], row["height"]
    said, kept, labels = [], [], []
    for pixels, label in zip(row["boxes"], row["labels"], strict=True):
        x1, y1, x2, y2 = pixels
        box = Box(x1 / width, y1 / height, x2 / width, y2 / height)
        places = _places(box, to)
        if places[0] == places[2] or places[1] == places[3]:
            lost[f"boxes that {to} cannot tell from a line"] += 1
            continue
        kept.append(pixels)
        labels.append(label)
        match to:
            case "paligemma":
                said.append("".join(f"<loc{n:04}>" for n in places) + f" {label}")
            case "florence":
                said.append(label + "".join(f"<loc_{n}>" for n in places))
            case _:
                said.append("".join(f"<bin_{n}>" for n in places) + f" {label}")
    suffix = (" ; " if to == "paligemma" else "").join(said).strip()
    prefix = {"paligemma": f"detect {' ; '.join(dict.fromkeys(labels))}", "florence": "<OD>"}
    prompt = {"prefix": prefix[to]} if to in prefix else {}
    return {**row, "boxes": kept, "labels": labels, **prompt, "suffix": suffix}


def _places(box: Box, to: BoxFile) -> list[int]:
    if to == "ofa":
        return to_ofa(box, OFA_SIDE, OFA_SIDE)
    return to_paligemma(box) if to == "paligemma" else to_florence(box)


def _written(row: dict[str, Any], to: BoxFile) -> dict[str, Any]:
    if to == "jsonl":
        return row
    return {key: row[key] for key in ("image", "prefix", "suffix") if key in row}


def _size_on_disk(picture: Picture, path: Path, images: Path | None) -> tuple[float, float]:
    """Width and height of an image file as the file stores them."""
    folders = [images] if images is not None else [(picture.file or path).parent]
    found = next((f / picture.image for f in folders if (f / picture.image).is_file()), None)
    if found is None:
        message = f"nothing says the size of {picture.image!r}"
        expected = "--images: the folder of the images"
        raise UserError(message, file=picture.file or path, expected=expected)
    with found.open("rb") as file:
        image = open_image(file, str(found), repr(picture.image))
        width, height = image.size
        return (height, width) if orientation_of(image) >= 5 else (width, height)


def _coco(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(label for row in rows for label in row["labels"]))
    numbers = {name: number for number, name in enumerate(sorted(names), 1)}
    content = {
        "images": [
            {"id": n, "file_name": r["image"], "width": r["width"], "height": r["height"]}
            for n, r in enumerate(rows, 1)
        ],
        "annotations": [
            {"id": n} | annotation for n, annotation in enumerate(_annotations(rows, numbers), 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _annotations(rows: list[dict[str, Any]], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    for image, row in enumerate(rows, 1):
        for (x1, y1, x2, y2), label in zip(row["boxes"], row["labels"], strict=True):
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            box = {"bbox": [x1, y1, width, height], "area": round(width * height, 4)}
            yield {"image_id": image, "category_id": numbers[label], **box, "iscrowd": 0}
