from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

DATA = "reader: {}, path: train.jsonl, images: images, splits: {{train: train}}, key_column: key"
BOXES = {
    "image": "image, kind: image",
    "objects": "objects, many: true",
    "boxes": "boxes, kind: box, many: true, layout: xyxy, units: pixels",
    "question": "question",
    "options": "options, many: true",
    "answer": "correct, kind: choice, of: options",
}
ROW = {
    "objects": ["person", "person", "dog"],
    "img_fn": "film/1.jpg",
    "metadata_fn": "film/1.json",
    "question": ["Why", "is", [1], "looking", "at", [2, 0], "?"],
    "answer_choices": [["They", "can", "'", "t", "see", "."], [[1], "does", "n't", "."]],
    "answer_label": 1,
    "rationale_choices": [[[0], "'s", "there", "."], ["No", "."]],
    "rationale_label": 0,
    "annot_id": "train-7",
}
METADATA = {
    "boxes": [[1, 2, 3, 4, 0.9], [5.5, 6, 700, 8, 0.9], [0, 0, 9, 9, 0.8]],
    "width": 20,
    "height": 10,
}


def write(folder: Path, row: dict[str, Any], metadata: Any = METADATA) -> None:
    (folder / "images/film").mkdir(parents=True)
    (folder / "images/film/1.json").write_text(json.dumps(metadata))
    (folder / "train.jsonl").write_text(json.dumps(row))


def rows(open_task: Callable, reader: str, **more: str) -> list[dict[str, Any]]:
    return [dict(row.columns) for row in open_task(DATA.format(reader), **BOXES, **more)]


def test_answers_name_objects_that_have_boxes(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, ROW)
    assert rows(open_task, "vcr_answers") == [
        {
            "image": "film/1.jpg",
            "objects": ["person2", "dog3", "person1"],
            "boxes": [[5.5, 6, 20, 8], [0, 0, 9, 9], [1, 2, 3, 4]],  # cut off at the edge
            "question": "Why is person2 looking at dog3 and person1?",
            "options": ["They can't see.", "person2 doesn't."],
            "correct": 1,
            "width": 20,
            "height": 10,
            "key": "train-7",
        }
    ]


def test_rationales_come_with_the_right_answer(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, ROW | {"question": ["Why", "?"]})
    (row,) = rows(open_task, "vcr_rationales", said="answer")
    assert row["question"] == "Why?"
    assert row["answer"] == "person2 doesn't."
    assert row["options"] == ["person1's there.", "No."]
    assert row["correct"] == 0
    assert row["objects"] == ["person2", "person1"]


def test_all_objects_where_the_texts_name_none(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path, ROW | {"question": ["Why", "?"], "answer_choices": [["No"], ["Yes"]]})
    assert rows(open_task, "vcr_answers")[0]["objects"] == ["person1", "person2", "dog3"]


@pytest.mark.parametrize(
    ("change", "metadata", "says"),
    [
        (
            {"question": [[3]]},
            METADATA,
            r"1: question: there is no object \[3\]; expected \[0\] to",
        ),
        ({"question": "Why?"}, METADATA, "1: question: found 'Why.'; expected a list"),
        ({"answer_label": 2}, METADATA, "1: answer_label: found 2; expected 0 to 1, one of the"),
        ({"objects": ["dog"] * 4}, METADATA, "1: objects: lists 4 objects, and its metadata 3 box"),
        ({"metadata_fn": "film/2.json"}, METADATA, "2.json: does not exist; the boxes of an image"),
        ({"metadata_fn": "../../../x.json"}, METADATA, "leave the folder of the images"),
        ({}, {"boxes": []}, "1.json: width: is missing; expected a number"),
        ({}, METADATA | {"boxes": [[1, 2]]}, r"boxes.0: found '\[1, 2\]'; expected 5 numbers"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    tmp_path: Path, open_task: Callable, change: dict[str, Any], metadata: Any, says: str
) -> None:
    write(tmp_path, ROW | change, metadata)
    with pytest.raises(UserError, match=says):
        rows(open_task, "vcr_answers")
