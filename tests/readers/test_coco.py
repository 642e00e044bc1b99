from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task

IMAGES = [
    {"id": 9, "file_name": "9.jpg", "width": 200, "height": 100},
    {"id": 4, "file_name": "4.jpg", "width": 50, "height": 50, "domain": "near-domain"},
    {"id": 7, "file_name": "7.jpg", "width": 50, "height": 50},
]
CAPTIONS = {
    "images": IMAGES[:2],
    "annotations": [
        {"image_id": 4, "id": 1, "caption": "A cat."},
        {"image_id": 9, "id": 2, "caption": "A dog."},
        {"image_id": 4, "id": 3, "caption": "A small cat."},
    ],
}
NAMES = ["nose", "left_eye", "right_eye"]
SQUARE = [[10.0, 10.0, 40.0, 10.0, 40.0, 40.0, 10.0, 40.0]]


def thing(key: int, image: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    found = {"id": key, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
    return found | {"area": bbox[2] * bbox[3], "segmentation": SQUARE} | more


INSTANCES = {
    "images": IMAGES,
    "categories": [{"id": 1, "name": "person", "keypoints": NAMES}, {"id": 18, "name": "dog"}],
    "annotations": [
        thing(1, 9, 18, [10, 10, 30, 30]),
        thing(2, 9, 1, [150.5, 20, 49.52, 80.01]),  # beyond the edges by a rounding
        thing(3, 9, 1, [0, 0, 200, 100], iscrowd=1, segmentation={"counts": [5], "size": [1, 5]}),
        thing(4, 4, 18, [10, 10, 20, 0]),  # nothing
        thing(5, 7, 18, [0, 0, 50, 50], segmentation=[[0, 0, 60, 60], [0, 0, 60, 0, 50.2, 50]]),
    ],
}


def test_a_row_is_an_image_with_all_its_captions(read_all: Callable) -> None:
    assert read_all("coco_captions", path=CAPTIONS) == [
        {"key": "9", "image": "9.jpg", "captions": ["A dog."], "domain": None},
        {
            "key": "4",
            "image": "4.jpg",
            "captions": ["A cat.", "A small cat."],
            "domain": "near-domain",
        },
    ]


def test_a_row_is_an_image_with_its_objects_but_no_crowd(read_all: Callable) -> None:
    assert read_all("coco_instances", path=INSTANCES) == [
        {
            "key": "9",
            "image": "9.jpg",
            "boxes": [[150.5, 20.0, 49.5, 80.0], [10.0, 10.0, 30.0, 30.0]],
            "labels": ["person", "dog"],
            "width": 200.0,
            "height": 100.0,
        },
        {
            "key": "7",
            "image": "7.jpg",
            "boxes": [[0.0, 0.0, 50.0, 50.0]],
            "labels": ["dog"],
            "width": 50.0,
            "height": 50.0,
        },
    ]


def test_a_row_is_an_object_with_its_outlines(read_all: Callable) -> None:
    rows = read_all("coco_objects", path=INSTANCES)
    assert [(r["key"], r["category"], r["size"], r["polygons"]) for r in rows] == [
        ("1", "dog", "small", SQUARE),
        ("2", "person", "medium", SQUARE),
        ("5", "dog", "medium", [[0.0, 0.0, 50.0, 0.0, 50.0, 50.0]]),  # two corners are none
    ]
    drawn = {**INSTANCES, "annotations": [thing(1, 9, 18, [0, 0, 9, 9], segmentation=None)]}
    assert len(read_all("coco_objects", ("polygons",), path=drawn)) == 1
    with pytest.raises(UserError, match="train holds no row"):
        read_all("coco_objects", path=drawn)


def test_a_row_is_a_labelled_point_of_a_person(read_all: Callable) -> None:
    person = thing(6, 9, 1, [10, 10, 30, 30], keypoints=[12, 13, 2, 0, 0, 0, 14, 200, 1])
    rows = read_all("coco_keypoints", path={**INSTANCES, "annotations": [person]})
    assert rows == [
        {
            "key": "6_nose",
            "person": "6",
            "area": person["area"],
            "image": "9.jpg",
            "box": [10.0, 10.0, 30.0, 30.0],
            "name": "nose",
            "point": [12.0, 13.0],
            "visible": "visible",
            "width": 200.0,
            "height": 100.0,
        },
        {
            "key": "6_right_eye",
            "person": "6",
            "area": person["area"],
            "image": "9.jpg",
            "box": [10.0, 10.0, 30.0, 30.0],
            "name": "right eye",
            "point": [14.0, 100.0],
            "visible": "hidden",
            "width": 200.0,
            "height": 100.0,
        },
    ]


def spoilt(**more: Any) -> dict[str, Any]:
    return {**INSTANCES, "annotations": [thing(1, 9, 1, [0, 0, 9, 9]) | more]}


@pytest.mark.parametrize(
    ("reader", "content", "says"),
    [
        ("coco_captions", [], "images: is missing; expected a list"),
        (
            "coco_captions",
            {"images": [{"id": 1}]},
            "images.0.file_name: is missing; expected text",
        ),
        (
            "coco_captions",
            {**CAPTIONS, "annotations": [{"image_id": 5}]},
            "annotations.0.image_id: there is no image 5",
        ),
        (
            "coco_captions",
            {**CAPTIONS, "annotations": [{"image_id": 4, "caption": 5}]},
            "annotations.0.caption: found '5'; expected text",
        ),
        ("coco_captions", '{"images": [', "is not JSON"),
        ("coco_instances", {**INSTANCES, "categories": []}, "0.category_id: there is no category"),
        ("coco_instances", {"images": IMAGES}, "categories: is missing; expected a list"),
        ("coco_instances", spoilt(bbox=[0, 0, 9]), "bbox: found .*; expected 4 numbers"),
        ("coco_instances", spoilt(bbox=[0, 0, 9, "9"]), "bbox: found .*; expected 4 numbers"),
        (
            "coco_objects",
            spoilt(segmentation=[[1, 2, 3]]),
            "annotations.0.segmentation.0: found .*; expected numbers x, y, x, y",
        ),
        (
            "coco_objects",
            {
                **INSTANCES,
                "images": [{"id": 9, "file_name": "9.jpg"}],
                "annotations": [thing(1, 9, 1, [0, 0, 9, 9])],
            },
            "images of id 9.width: is missing; expected a number",
        ),
        ("coco_keypoints", spoilt(), "annotations.0.keypoints: is missing; expected a list"),
        ("coco_keypoints", spoilt(keypoints=[1, 2]), "keypoints: found .*; expected 9 numbers"),
        ("coco_keypoints", spoilt(category_id=18), "1 are of a category without keypoints"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    read_all: Callable, reader: str, content: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all(reader, path=content)


def test_a_column_that_the_format_does_not_give(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("""\
task: captions
version: 1
about: Describe an image.
data:
  reader: coco_captions
  path: annotations/captions_{split}.json
  images: "{split}"
  splits: {train: train2014}
  languages: [en]
fields:
  image: {kind: image, column: image}
  captions: {kind: text, column: caption, many: true}
example: {source: "{image}", target: "{captions}", pick: {captions: random}}
score: [{metric: cider, against: captions, primary: true}]
""")
    with pytest.raises(UserError, match=r"gives no column 'caption'.*did you mean 'captions'"):
        TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)


RUNS = {"size": [100, 200], "counts": [1010, 20, 80, 20, 18870]}  # columns 10 and 11, rows 10 to 29


@pytest.mark.parametrize("counts", ["plain", "compressed"])
def test_an_object_as_a_mask_of_runs_has_its_box(read_all: Callable, counts: str) -> None:
    from pycocotools import mask

    runs = dict(RUNS)
    if counts == "compressed":
        runs["counts"] = mask.frPyObjects(RUNS, 100, 200)["counts"].decode()
    drawn = thing(1, 9, 18, [0, 0, 1, 1], segmentation=runs) | {"bbox": []}
    content = {**INSTANCES, "annotations": [drawn]}
    assert read_all("coco_instances", path=content)[0]["boxes"] == [[10, 10, 2, 20]]
    (row,) = read_all("coco_objects", ("polygons",), path=content)
    assert row["box"] == [10, 10, 2, 20]
    outlined = {**INSTANCES, "annotations": [drawn, thing(2, 9, 18, [0, 0, 9, 9])]}
    assert [row["key"] for row in read_all("coco_objects", path=outlined)] == ["2"]
    spoilt_runs = {**drawn, "segmentation": {"size": [100, 200], "counts": [5]}}
    with pytest.raises(UserError, match=r"counts: found .*; expected runs of 100 x"):
        read_all("coco_instances", path={**INSTANCES, "annotations": [spoilt_runs]})


@pytest.mark.parametrize(("outside", "crowds"), [(0, 0), (0, 2), (1, 2)])
def test_only_what_is_lost_is_counted(
    read_all: Callable, tmp_path: Path, outside: int, crowds: int
) -> None:
    things = [thing(1, 9, 18, [0, 0, 9, 9])]
    things += [thing(2 + n, 9, 18, [500, 500, 9, 9]) for n in range(outside)]
    things += [thing(5 + n, 9, 18, [0, 0, 9, 9], iscrowd=1) for n in range(crowds)]
    read_all("coco_instances", path={**INSTANCES, "annotations": things})
    data = TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
    assert data.lost == ({"objects without a part inside their image": 1} if outside else {})


def test_a_category_without_keypoints_is_not_the_fault_of_its_objects(read_all: Callable) -> None:
    person = thing(6, 9, 1, [10, 10, 30, 30], keypoints=[12, 13, 2, 0, 0, 0, 14, 20, 1])
    dog = thing(7, 9, 18, [10, 10, 30, 30], keypoints=[])
    for names in ({}, {"keypoints": []}):
        categories = [INSTANCES["categories"][0], {"id": 18, "name": "dog"} | names]
        content = {**INSTANCES, "categories": categories, "annotations": [person, dog]}
        assert len(read_all("coco_keypoints", path=content)) == 2
    content["annotations"] = [person, dog | {"keypoints": [1, 2, 2]}]
    with pytest.raises(UserError, match="the category 'dog' names no keypoints, and anno"):
        read_all("coco_keypoints", path=content)
