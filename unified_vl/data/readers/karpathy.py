"""Karpathy's splits of COCO, Flickr30k and Flickr8k (Karpathy and Fei-Fei, arXiv 1412.2306).

`caption_datasets.zip` of cs.stanford.edu/people/karpathy/deepimagesent holds one
`dataset_*.json` each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.data.readers.annotations import member, read_json, reader_of
from unified_vl.data.readers.reader import Source


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    return _images(source.path)


def _images(path: Path) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(member(read_json(path), "images", list, path)):
        where = f"images.{number}"
        name = member(image, "filename", str, path, where)
        folder = image.get("filepath")  # COCO's alone
        split = member(image, "split", str, path, where)
        sentences = member(image, "sentences", list, path, where)
        key = "cocoid" if "cocoid" in image else "imgid"
        yield {
            "key": str(member(image, key, int, path, where)),
            "image": f"{folder}/{name}" if folder else name,
            "captions": [member(s, "raw", str, path, f"{where}.sentences") for s in sentences],
            "split": "train" if split == "restval" else split,
            "published_split": split,
        }


def images_by_id(path: Path) -> dict[str, str]:
    """The file of each image, with its folder, by COCO's id or else its number."""
    return {row["key"]: row["image"] for row in _images(path)}


karpathy = reader_of("karpathy", _rows)
