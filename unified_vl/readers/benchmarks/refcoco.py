"""RefCOCO, RefCOCO+ (Yu et al., arXiv 1608.00272) and RefCOCOg (Mao et al., arXiv 1511.02283).

The files are those of github.com/lichengunc/refer. Its `refs(unc).p` and the like are pickles,
which can run any code; no reader opens one. `unified-vl convert refcoco` writes the same lists
as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.benchmarks.coco import annotations_of, categories_of, category_of, images_of
from unified_vl.readers.columns import BOX, STATED_SIZE, Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.plain_pickle import read_plain_pickle
from unified_vl.readers.reader import Reader
from unified_vl.readers.regions import cut_box, numbers, outlines, size_of
from unified_vl.readers.source import Source


def read_refs(path: Path) -> list[dict[str, Any]]:
    """The references of one of the published pickles.

    Raises:
        UserError: when it asks for code, is cut short, or holds something else.
    """
    refs = read_plain_pickle(path)
    for _ in _expressions(refs, path):
        pass
    return list(refs)


def _expressions(refs: Any, path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every expression: its place in the file, its reference, and itself."""
    if not isinstance(refs, list) or not refs:
        raise UserError("is no list of references", file=path)
    for number, ref in enumerate(refs):
        where = str(number)
        for key in ("ann_id", "image_id"):
            member(ref, key, int, path, where)
        member(ref, "split", str, path, where)
        for place, sentence in enumerate(member(ref, "sentences", list, path, where)):
            at = f"{where}.sentences.{place}"
            member(sentence, "sent", str, path, at)
            member(sentence, "sent_id", int, path, at)
            yield where, ref, sentence


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path, instances = source.files["refs"], source.files["instances"]
    objects = _objects(instances)
    for where, ref, sentence in _expressions(read_json(path), path):
        found = objects.get(ref["ann_id"])
        if found is None or found["image_id"] != ref["image_id"]:
            message = f"{str(instances)!r} has no object {ref['ann_id']} of image {ref['image_id']}"
            raise UserError(message, file=path, field=f"{where}.ann_id")
        yield {
            "key": str(sentence["sent_id"]),
            "expression": sentence["sent"],
            "split": "test" if ref["split"] in ("testA", "testB") else ref["split"],
            "published_split": ref["split"],
            **found,
        }


def _objects(path: Path) -> dict[int, dict[str, Any]]:
    """The objects of `instances.json` by id."""
    content = read_json(path)
    images, categories = images_of(content, path), categories_of(content, path)
    objects: dict[int, dict[str, Any]] = {}
    for where, annotation, key in annotations_of(content, path):
        width, height = size_of(images[key], path, f"images of id {key}")
        corner = numbers(member(annotation, "bbox", list, path, where), path, f"{where}.bbox", 4)
        drawn = outlines(annotation.get("segmentation"), width, height, path, where)
        objects[member(annotation, "id", int, path, where)] = {
            "image_id": key,
            "image": images[key]["file_name"],
            "category": category_of(annotation, categories, path, where)["name"],
            "box": cut_box(corner, width, height),
            "polygons": drawn or None,
            "width": width,
            "height": height,
        }
    return objects


REFCOCO = Reader(
    "refcoco",
    "RefCOCO, RefCOCO+ and RefCOCOg, their references as `unified-vl convert refcoco` writes "
    "them: a row an expression.",
    rows=_rows,
    files=("refs", "instances"),
    columns={
        "key": Column("text", "the expression's id"),
        "image": Column("image", "COCO's file name: COCO_train2014_000000000009.jpg"),
        "expression": Column("text", "what is said of the object"),
        "box": BOX,
        "polygons": Column("polygons", "its outlines, [x, y, x, y, ...] each, in pixels"),
        "category": Column("text", "its category"),
        **STATED_SIZE,
        "split": Column("text", "train, val or test; `testA` and `testB` are test"),
        "published_split": Column("text", "train, val, test, testA or testB"),
    },
)
