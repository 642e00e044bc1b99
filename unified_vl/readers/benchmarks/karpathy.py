"""Karpathy's splits of COCO, Flickr30k and Flickr8k (Karpathy and Fei-Fei, arXiv 1412.2306).

`caption_datasets.zip` of cs.stanford.edu/people/karpathy/deepimagesent holds one
`dataset_*.json` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.files import path_below
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    return _images(source.path)


def _images(path: Path) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(member(read_json(path), "images", list, path)):
        where = f"images.{number}"
        name = member(image, "filename", str, path, where)
        folder = image.get("filepath") or ""  # COCO's alone
        split = member(image, "split", str, path, where)
        sentences = member(image, "sentences", list, path, where)
        key = "cocoid" if "cocoid" in image else "imgid"
        yield {
            "key": str(member(image, key, int, path, where)),
            "image": path_below(folder, name),
            "captions": [member(s, "raw", str, path, f"{where}.sentences") for s in sentences],
            "split": "train" if split == "restval" else split,
            "published_split": split,
        }


def images_by_id(path: Path) -> dict[str, str]:
    """The file of each image, with its folder, by COCO's id or else its number."""
    return {row["key"]: row["image"] for row in _images(path)}


KARPATHY = Reader(
    "karpathy",
    "Karpathy's splits of COCO, Flickr30k and Flickr8k (`dataset_coco.json`): a row an image.",
    rows=_rows,
    columns={
        "key": Column("text", "COCO's id of the image, or else its number"),
        "image": Column("image", "its file name, with its folder where the file says it"),
        "captions": Column("texts", "its captions"),
        "split": Column("text", "train, val or test; `restval` is train too"),
        "published_split": Column("text", "train, restval, val or test"),
    },
)
