from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError


def image(number: int, split: str, **more: Any) -> dict[str, Any]:
    sentences = [{"raw": f"Picture {number}.", "tokens": [], "imgid": number, "sentid": number}]
    name = f"{number}.jpg"
    return {"filename": name, "imgid": number, "split": split, "sentences": sentences} | more


def test_the_rest_of_validation_is_for_training(read_all: Callable) -> None:
    coco = {"filepath": "val2014", "cocoid": 391895}
    content = {"images": [image(0, "test", **coco), image(1, "restval", **coco), image(2, "val")]}
    assert read_all("karpathy", path=content) == [
        {
            "key": "391895",
            "image": "val2014/0.jpg",
            "captions": ["Picture 0."],
            "split": "test",
            "published_split": "test",
        },
        {
            "key": "391895",
            "image": "val2014/1.jpg",
            "captions": ["Picture 1."],
            "split": "train",
            "published_split": "restval",
        },
        {
            "key": "2",
            "image": "2.jpg",
            "captions": ["Picture 2."],
            "split": "val",
            "published_split": "val",
        },
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"annotations": []}, "images: is missing; expected a list"),
        ({"images": [{"filename": "0.jpg"}]}, "images.0.split: is missing; expected text"),
        ({"images": [image(0, "val", sentences=[{}])]}, "sentences.raw: is missing"),
        ({"images": [image(0, "val", cocoid="9")]}, "cocoid: found '9'; expected a whole number"),
    ],
)
def test_a_file_of_another_shape_is_refused(read_all: Callable, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_all("karpathy", path=content)


def test_a_split_that_the_file_does_not_have(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "coco.json").write_text(json.dumps({"images": [image(0, "val")]}))
    data = "reader: karpathy, path: coco.json, split_column: split"
    with pytest.raises(UserError, match="train holds no row; expected at least one"):
        open_task(data, answer="key")
