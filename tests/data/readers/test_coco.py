from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_vl.data.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task

SPEC = """\
task: captions
version: 1
about: Describe an image.
data:
  reader: coco_captions
  path: annotations/captions_{split}.json
  images: "{split}"
  splits: {train: train2014}
  languages: [en]
  key_column: key
fields:
  image: {kind: image, column: image}
  captions: {kind: text, column: captions, many: true}
example: {source: "{image}", target: "{captions}", pick: {captions: random}}
score: [{metric: cider, against: captions, primary: true}]
"""
FILE = {
    "images": [{"id": 9, "file_name": "9.jpg"}, {"id": 4, "file_name": "4.jpg"}],
    "annotations": [
        {"image_id": 4, "id": 1, "caption": "A cat."},
        {"image_id": 9, "id": 2, "caption": "A dog."},
        {"image_id": 4, "id": 3, "caption": "A small cat."},
    ],
}


def read(tmp_path: Path, content: Any, spec: str = SPEC) -> TaskData:
    (tmp_path / "task.yaml").write_text(spec)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/captions_train2014.json").write_text(json.dumps(content))
    return TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)


def test_a_row_is_an_image_with_all_its_captions(tmp_path: Path) -> None:
    rows = list(read(tmp_path, FILE))
    assert [dict(row.columns) for row in rows] == [
        {"image": "9.jpg", "captions": ["A dog."], "key": "9"},
        {"image": "4.jpg", "captions": ["A cat.", "A small cat."], "key": "4"},
    ]
    assert rows[0].images == "train2014"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "images: is missing; expected a list"),
        ({"images": [{"id": 1}]}, "images.0.file_name: is missing; expected text"),
        ({**FILE, "annotations": [{"image_id": 5}]}, "annotations.0.image_id: there is no image 5"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read(tmp_path, content)


def test_a_column_that_the_format_does_not_give(tmp_path: Path) -> None:
    spec = SPEC.replace("column: captions", "column: caption")
    with pytest.raises(UserError, match=r"gives no column 'caption'.*did you mean 'captions'"):
        read(tmp_path, FILE, spec)
