from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unified_vl.errors import UserError

OCR = {
    "data": [
        {"image_id": "0054c91397f2fe05", "ocr_tokens": ["SO", "YANKEES"], "ocr_info": []},
        {"image_id": "005635e119b9f32f", "ocr_tokens": [], "ocr_info": []},
    ]
}
IMAGES = [image["image_id"] for image in OCR["data"]]
QUESTION = {"question": "Which team?", "image_id": IMAGES[0], "question_id": 0, "answers": ["soy"]}
CAPTION = {"image_id": IMAGES[0], "caption_str": "A shirt.", "caption_id": 1}


def test_questions_meet_the_words_of_their_image(read_all: Callable) -> None:
    asked = {"data": [QUESTION, {**QUESTION, "question_id": 1, "image_id": IMAGES[1]}]}
    assert read_all("textvqa", questions=asked, ocr=OCR) == [
        {
            "key": "0",
            "image": "0054c91397f2fe05.jpg",
            "question": "Which team?",
            "answers": ["soy"],
            "ocr": "SO YANKEES",
            "tokens": ["SO", "YANKEES"],
        },
        {
            "key": "1",
            "image": "005635e119b9f32f.jpg",
            "question": "Which team?",
            "answers": ["soy"],
            "ocr": "(none)",
            "tokens": [],
        },
    ]
    rows = read_all("textvqa", ("ocr", "tokens"), questions=asked)
    assert [row["key"] for row in rows] == ["0", "1"]


def test_captions_of_an_image_are_one_row(read_all: Callable) -> None:
    said = [CAPTION, {**CAPTION, "image_id": IMAGES[1]}, {**CAPTION, "caption_str": "Red."}]
    rows = read_all("textcaps", captions={"data": said}, ocr=OCR)
    assert [(row["key"], row["captions"], row["ocr"]) for row in rows] == [
        (IMAGES[0], ["A shirt.", "Red."], "SO YANKEES"),
        (IMAGES[1], ["A shirt."], "(none)"),
    ]


def test_st_vqa_holds_out_whole_images(read_all: Callable) -> None:
    questions = [
        {
            "question_id": 2 * image + number,
            "question": "What?",
            "answers": ["this", "that"],
            "file_path": f"coco-text/COCO_train2014_{image:012d}.jpg",
        }
        for image in range(40)
        for number in range(2)
    ]
    rows = read_all("st_vqa", path={"data": questions})
    folds = {}
    for row in rows:
        assert folds.setdefault(row["image"], row["fold"]) == row["fold"]
    assert 1 <= list(folds.values()).count("validation") <= 10
    assert set(folds.values()) == {"train", "validation"}
    assert rows[0]["collection"] == "coco-text" and rows[0]["answers"] == ["this", "that"]


def test_docvqa(read_all: Callable) -> None:
    question = {
        "questionId": 337,
        "question": "What is the date?",
        "question_types": ["handwritten", "form"],
        "image": "documents/xnbl0037_1.png",
        "answers": ["1/8/93"],
    }
    assert read_all("docvqa", path={"data": [question]}) == [
        {
            "key": "337",
            "image": "documents/xnbl0037_1.png",
            "question": "What is the date?",
            "answers": ["1/8/93"],
            "question_type": "handwritten, form",
        }
    ]


@pytest.mark.parametrize(
    ("reader", "files", "says"),
    [
        ("textvqa", {"questions": {"data": [QUESTION]}}, "files.ocr: is missing, and 'ocr' comes"),
        (
            "textvqa",
            {"questions": {"data": [{**QUESTION, "image_id": "a"}]}, "ocr": OCR},
            "data.0.image_id: .*ocr.json' has no image 'a'",
        ),
        (
            "textvqa",
            {"questions": {"data": [QUESTION]}, "ocr": {"data": [{"image_id": "a"}]}},
            "ocr.json: data.0.ocr_tokens: is missing; expected a list",
        ),
        (
            "textvqa",
            {"questions": {"data": [{**QUESTION, "answers": [None]}]}, "ocr": OCR},
            "data.0.answers.0: found 'None'; expected text",
        ),
        (
            "textcaps",
            {"captions": {"data": [{"image_id": IMAGES[0]}]}, "ocr": OCR},
            "captions.json: data.0.caption_str: is missing; expected text",
        ),
        ("st_vqa", {"path": {"data": [QUESTION]}}, "data.0.file_path: is missing; expected text"),
        ("docvqa", {"path": {"data": ["a"]}}, "data.0.questionId: is missing; expected a whole"),
        ("docvqa", {"path": {"questions": []}}, "data: is missing; expected a list"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    read_all: Callable, reader: str, files: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all(reader, **files)
