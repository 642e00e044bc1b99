from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

DATA = (
    "reader: visdial, path: visdial.json, images: images, splits: {train: train}, key_column: key"
)
FIELDS = {
    "image": "image, kind: image",
    "caption": "caption",
    "before": "before, many: true",
    "questions": "questions, many: true",
    "options": "options, many: true",
    "round": "round",
    "answer": "correct, kind: choice, of: options",
}


def turn(question: int, options: list[int], right: int) -> dict[str, Any]:
    return {"question": question, "answer_options": options, "gt_index": right}


def dialogues(split: str = "train", *turns: dict[str, Any]) -> dict[str, Any]:
    turns = turns or (turn(1, [0, 2], 1), turn(0, [1, 0], 0))
    dialog = {"image_id": 42, "caption": "a wall", "dialog": list(turns)}
    data = {"questions": ["is it old", "is it red"], "answers": ["no", "yes", "very"]}
    return {"version": "1.0", "split": split, "data": {**data, "dialogs": [dialog]}}


def rows(tmp_path: Path, open_task: Callable, content: Any) -> list[dict[str, Any]]:
    (tmp_path / "images").mkdir(exist_ok=True)
    (tmp_path / "visdial.json").write_text(json.dumps(content))
    return [dict(row.columns) for row in open_task(DATA, **FIELDS)]


def test_a_row_is_a_round_with_what_was_said_before(tmp_path: Path, open_task: Callable) -> None:
    image = "train2014/COCO_train2014_000000000042.jpg"
    both = {"image": image, "caption": "a wall"}
    assert rows(tmp_path, open_task, dialogues()) == [
        {
            **both,
            "key": "42_1",
            "before": ["a wall"],
            "questions": ["is it red"],
            "options": ["no", "very"],
            "correct": 1,
            "round": "1",
        },
        {
            **both,
            "key": "42_2",
            "before": ["a wall", "very"],
            "questions": ["is it red", "is it old"],
            "options": ["yes", "no"],
            "correct": 0,
            "round": "2",
        },
    ]


@pytest.mark.parametrize(
    ("split", "image"),
    [
        ("train", "val2014/COCO_val2014_000000000042.jpg"),
        ("val2018", "VisualDialog_val2018/VisualDialog_val2018_000000000042.jpg"),
    ],
)
def test_the_folder_of_an_image(
    tmp_path: Path, open_task: Callable, split: str, image: str
) -> None:
    (tmp_path / "images" / image).parent.mkdir(parents=True)
    (tmp_path / "images" / image).write_bytes(b"")
    assert rows(tmp_path, open_task, dialogues(split))[0]["image"] == image


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            dialogues("train", turn(2, [0], 0)),
            "dialog.0.question: there is no number 2 among quest",
        ),
        (dialogues("train", turn(0, [0, 9], 0)), "dialog.0.answer_options: there is no number 9"),
        (dialogues("train", turn(0, [0, 1], 2)), "dialog.0.gt_index: found 2; expected 0 to 1"),
        ({"split": "train"}, "data: is missing; expected an object"),
    ],
)
def test_a_dialogue_of_another_shape_is_refused(
    tmp_path: Path, open_task: Callable, content: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        rows(tmp_path, open_task, content)
