"""What a `.json` file is: COCO's annotations of images, or JSON Lines by another name."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from unified_vl.authoring.drafting.files.conversations import conversations_sample
from unified_vl.authoring.drafting.files.samples import ROWS, Columns, read_sample
from unified_vl.authoring.drafting.places import KNOWN, Place
from unified_vl.errors import UserError
from unified_vl.readers.benchmarks.coco import annotations_of, categories_of, category_of, images_of
from unified_vl.readers.json_files import member, read_json


def read_json_sample(place: Place) -> tuple[Place, Columns]:
    """The place with the reader of what is in the file, and the file's first rows.

    Raises:
        UserError: when no reader reads such a file.
    """
    path = place.file
    talks = conversations_sample(path)
    if talks is not None:
        return replace(place, reader="conversations"), talks
    if _is_lines(path):
        return replace(place, reader="jsonl"), read_sample("jsonl", path)
    content = read_json(path)
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return replace(place, reader="json"), read_sample("json", path)
    if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
        what = "a JSON list" if isinstance(content, list) else "JSON, but not COCO's"
        expected = f"COCO's `images` and `annotations`, or objects, a row each; else {KNOWN}"
        raise UserError(f"is {what}", file=path, expected=expected)
    images = images_of(content, path)
    found: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for where, annotation, key in annotations_of(content, path):
        found.setdefault(key, []).append((where, annotation))
    if not found:
        raise UserError("annotates no image", file=path)
    rows = dict(islice(found.items(), ROWS))
    columns: Columns = {
        "key": [str(key) for key in rows],
        "image": [images[key]["file_name"] for key in rows],
    }
    _, first = next(iter(rows.values()))[0]
    if "caption" in first:
        columns["captions"] = [
            [member(each, "caption", str, path, where) for where, each in several]
            for several in rows.values()
        ]
        return replace(place, reader="coco_captions"), columns
    if "bbox" in first:
        categories = categories_of(content, path)
        columns["boxes"] = [
            [member(each, "bbox", list, path, where) for where, each in several]
            for several in rows.values()
        ]
        columns["labels"] = [
            [category_of(each, categories, path, where)["name"] for where, each in several]
            for several in rows.values()
        ]
        return replace(place, reader="coco_instances"), columns
    raise UserError(
        f"annotates images by {', '.join(map(repr, first))}", file=path, expected="captions, boxes"
    )


def _is_lines(path: Path) -> bool:
    """Whether the first line is an object by itself, and another line follows."""
    with path.open("rb") as file:
        first, second = file.readline(1 << 24), file.readline(1 << 10)
    try:
        return isinstance(json.loads(first), dict) and bool(second.strip())
    except (ValueError, RecursionError):
        return False
