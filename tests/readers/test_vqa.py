from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unified_vl.errors import UserError

QUESTIONS = {
    "data_subtype": "val2014",
    "questions": [
        {"image_id": 262148, "question": "Where is he?", "question_id": 262148000},
        {"image_id": 393225, "question": "How many?", "question_id": 393225001},
    ],
}


def annotation(key: int, *answers: str, **more: Any) -> dict[str, Any]:
    given = [{"answer": a, "answer_id": n} for n, a in enumerate(answers, 1)]
    return {"question_id": key, "answers": given, "answer_type": "other"} | more


ANNOTATIONS = {
    "annotations": [
        annotation(393225001, "2", "two", question_type="how many", multiple_choice_answer="2"),
        annotation(262148000, "down", "at table"),
    ]
}


def test_questions_meet_their_answers(read_all: Callable) -> None:
    rows = read_all("vqa_v2", questions=QUESTIONS, annotations=ANNOTATIONS)
    assert rows == [
        {
            "key": "262148000",
            "image": "COCO_val2014_000000262148.jpg",
            "question": "Where is he?",
            "answers": ["down", "at table"],
            "answer": None,
            "answer_type": "other",
            "question_type": None,
        },
        {
            "key": "393225001",
            "image": "COCO_val2014_000000393225.jpg",
            "question": "How many?",
            "answers": ["2", "two"],
            "answer": "2",
            "answer_type": "other",
            "question_type": "how many",
        },
    ]


def test_kinds_of_questions_have_the_names_that_the_file_gives_them(read_all: Callable) -> None:
    kinds = {"four": "Sports and Recreation", "other": "Other"}
    found = [
        annotation(393225001, "2", question_type="four"),
        annotation(262148000, "down", question_type="eleven"),
    ]
    annotations = {"annotations": found, "question_types": kinds}
    rows = read_all("vqa_v2", questions=QUESTIONS, annotations=annotations)
    assert [row["question_type"] for row in rows] == ["eleven", "Sports and Recreation"]


@pytest.mark.parametrize(
    ("questions", "annotations", "says"),
    [
        (
            QUESTIONS,
            {"annotations": [annotation(5, "a")]},
            "questions.0.question_id: the annotations have no question 262148000",
        ),
        ({"questions": []}, ANNOTATIONS, "questions.json: data_subtype: is missing; expected text"),
        (QUESTIONS, QUESTIONS, "annotations.json: annotations: is missing; expected a list"),
        (
            QUESTIONS,
            {"annotations": [{"question_id": 1, "answers": [{"answer": 1}]}]},
            "annotations.0.answers.answer: found '1'; expected text",
        ),
        ("{", ANNOTATIONS, "questions.json: is not JSON"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    read_all: Callable, questions: Any, annotations: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all("vqa_v2", questions=questions, annotations=annotations)


GQA = {
    "question": "Is the sky dark?",
    "answer": "yes",
    "fullAnswer": "Yes, the sky is dark.",
    "imageId": "2354786",
    "groups": {"global": None, "local": "06-sky_dark"},
    "entailed": ["02930160", "02930152"],
    "types": {"structural": "verify", "semantic": "global", "detailed": "verifyC"},
}


def test_gqa(read_all: Callable) -> None:
    assert read_all("gqa", path={"02930152": GQA}) == [
        {
            "key": "02930152",
            "image": "2354786.jpg",
            "question": "Is the sky dark?",
            "answer": "yes",
            "full_answer": "Yes, the sky is dark.",
            "structural": "verify",
            "semantic": "global",
            "detailed": "verifyC",
            "group": None,
            "entailed": ["02930160"],  # not itself
        }
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([GQA], "starts with .*; expected an object"),
        ({"1": {**GQA, "imageId": 5}}, "1.imageId: found '5'; expected text"),
        ({"1": {"question": "Why?"}}, "1.types: is missing; expected an object"),
        ({"1": {**GQA, "entailed": [2]}}, "1.entailed.0: found '2'; expected text"),
    ],
)
def test_gqa_of_another_shape_is_refused(read_all: Callable, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_all("gqa", path=content)


AOKVQA = {
    "split": "val",
    "image_id": 461751,
    "question_id": "22jbM6gDxdaMaunuzgrsBB",
    "question": "What is in the motorcyclist's mouth?",
    "choices": ["toothpick", "food", "popsicle stick", "cigarette"],
    "correct_choice_idx": 3,
    "direct_answers": ["cigarette"] * 10,
    "difficult_direct_answer": False,
    "rationales": ["He's smoking while riding.", "It is lit.", "The man is smoking."],
}


def test_aokvqa_with_its_options_and_without(read_all: Callable) -> None:
    hard = {**AOKVQA, "question_id": "hard", "difficult_direct_answer": True}
    rows = read_all("aokvqa", path=[AOKVQA, hard])
    assert [row["key"] for row in rows] == ["22jbM6gDxdaMaunuzgrsBB", "hard"]
    assert rows[0] == {
        "key": "22jbM6gDxdaMaunuzgrsBB",
        "image": "000000461751.jpg",
        "question": "What is in the motorcyclist's mouth?",
        "options": ["toothpick", "food", "popsicle stick", "cigarette"],
        "correct": 3,
        "answers": ["cigarette"] * 10,
        "rationales": AOKVQA["rationales"],
    }
    assert read_all("aokvqa_direct", path=[AOKVQA, hard]) == rows[:1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"data": []}, "is no list of questions"),
        ([{"question": "Why?"}], "0.choices: is missing; expected a list"),
        ([{**AOKVQA, "correct_choice_idx": 4}], "found 4; expected 0 to 3, one of the choices"),
        ([{**AOKVQA, "choices": [1, 2]}], "0.choices.0: found '1'; expected text"),
        ([{**AOKVQA, "difficult_direct_answer": 0}], "found '0'; expected true or false"),
    ],
)
def test_aokvqa_of_another_shape_is_refused(read_all: Callable, content: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_all("aokvqa", path=content)
