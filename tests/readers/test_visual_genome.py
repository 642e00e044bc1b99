from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

URL = "https://cs.stanford.edu/people/rak248/VG_100K_2"
IMAGES = [
    {"image_id": key, "url": f"{URL}/{key}.jpg", "width": 100, "height": 50} for key in (1, 2, 3)
]
SPLITS = {"train": [1], "val": [], "test": [2]}


def region(key: int, image: int, phrase: str, x: int, width: int) -> dict[str, Any]:
    where = {"x": x, "y": 0, "width": width, "height": 10}
    return {"region_id": key, "image_id": image, "phrase": phrase, **where}


REGIONS = [
    {"id": 1, "regions": [region(11, 1, "a red car ", -3, 10), region(12, 1, " ", 0, 10)]},
    {"id": 2, "regions": [region(13, 2, "the sky", 95, 20), region(14, 2, "gone", 100, 5)]},
    {"id": 3, "regions": [{"id": 15, **region(0, 3, "old", 0, 5)}]},
]
del REGIONS[2]["regions"][0]["region_id"]  # as version 1.0


def test_a_row_is_a_region_inside_its_image(read_all: Callable) -> None:
    without = ("width", "height")
    rows = read_all("vg_regions", without, regions=REGIONS, images=IMAGES, splits=SPLITS)
    assert rows == [
        {
            "key": "11",
            "image": "VG_100K_2/1.jpg",
            "phrase": "a red car",
            "box": [0.0, 0.0, 7.0, 10.0],
            "split": "train",
        },
        {
            "key": "13",
            "image": "VG_100K_2/2.jpg",
            "phrase": "the sky",
            "box": [95.0, 0.0, 5.0, 10.0],
            "split": "test",
        },
        {
            "key": "15",
            "image": "VG_100K_2/3.jpg",
            "phrase": "old",
            "box": [0.0, 0.0, 5.0, 10.0],
            "split": None,
        },
    ]
    without = read_all("vg_regions", ("split",), regions=REGIONS, images=IMAGES)
    assert [row["key"] for row in without] == ["11", "13", "15"]


def test_questions(read_all: Callable) -> None:
    asked = {"qa_id": 986769, "image_id": 1, "question": "What color?", "answer": "Green."}
    rows = read_all(
        "vg_questions", questions=[{"id": 1, "qas": [asked]}], images=IMAGES, splits=SPLITS
    )
    assert rows == [
        {
            "key": "986769",
            "image": "VG_100K_2/1.jpg",
            "question": "What color?",
            "answer": "Green.",
            "split": "train",
        }
    ]


def test_version_1_0_says_id_for_image_id(read_all: Callable) -> None:
    images = [{"id" if k == "image_id" else k: v for k, v in each.items()} for each in IMAGES]
    regions = [
        {
            "id": entry["id"],
            "regions": [
                {"id": 10 + place, **{k: v for k, v in each.items() if not k.endswith("_id")}}
                for place, each in enumerate(entry["regions"])
                if "id" not in each
            ],
        }
        for entry in REGIONS[:2]
    ]
    rows = read_all("vg_regions", regions=regions, images=images, splits=SPLITS)
    assert [(row["key"], row["image"], row["split"]) for row in rows] == [
        ("10", "VG_100K_2/1.jpg", "train"),
        ("10", "VG_100K_2/2.jpg", "test"),
    ]
    asked = {"qa_id": 5, "image_id": 2, "question": "What?", "answer": "Sky."}
    (row,) = read_all(
        "vg_questions", questions=[{"id": 2, "qas": [asked]}], images=images, splits=SPLITS
    )
    assert row["image"] == "VG_100K_2/2.jpg"


def test_what_is_of_no_split_is_counted(tmp_path: Path, open_task: Callable) -> None:
    for name, content in (("regions", REGIONS), ("images", IMAGES), ("splits", SPLITS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    data = (
        "reader: vg_regions, files: {regions: regions.json, images: images.json, "
        "splits: splits.json}, images: ., splits: {train: train}, split_column: split"
    )
    task = open_task(data, answer="phrase")
    assert [row.columns["phrase"] for row in task] == ["a red car"]
    assert task.left_out == {"are of no split": 1}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"images": IMAGES}, "files.splits: is missing, and 'split' comes from it"),
        ({"images": IMAGES[1:], "splits": SPLITS}, "0.regions.0.image_id: .* has no image 1"),
        ({"images": [{"image_id": 1}], "splits": SPLITS}, "images.json: 0.url: is missing"),
        ({"images": {}, "splits": SPLITS}, "images.json: starts with .*; expected a list"),
        ({"images": IMAGES, "splits": {"train": [1]}}, "splits.json: val: is missing"),
        (
            {"images": IMAGES, "splits": SPLITS, "regions": [{"id": 1, "regions": [{"x": 1}]}]},
            "0.regions.0.y: is missing; expected a number",
        ),
        (
            {"images": IMAGES, "splits": SPLITS, "regions": [{"regions": [{"x": 1}]}]},
            "0.regions.0.image_id: is missing; expected a whole number",
        ),
        ({"images": IMAGES, "splits": SPLITS, "regions": [{"id": 1}]}, "0.regions: is missing"),
        ({"images": IMAGES, "splits": SPLITS, "regions": "[{"}, "regions.json: is not JSON"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    read_all: Callable, files: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all("vg_regions", **{"regions": REGIONS, **files})
