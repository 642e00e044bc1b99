from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

SQUAD = 'reader: squad, path: "{split}.json", key_column: key'
FIELDS = {"text": "question", "context": "context", "answer": "answers, many: true"}
QUESTION = {
    "id": "7",
    "question": "Who?",
    "answers": [{"text": t, "answer_start": 0} for t in ("Ada", "Ada", "Ada L.")],
}


def content(question: Any) -> dict[str, Any]:
    return {"version": "1.1", "data": [{"paragraphs": [{"context": "Ada L.", "qas": [question]}]}]}


def test_a_row_is_a_question(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.json").write_text(json.dumps(content(QUESTION)))
    assert [dict(row.columns) for row in open_task(SQUAD, title="title", **FIELDS)] == [
        {
            "key": "7",
            "question": "Who?",
            "context": "Ada L.",
            "answers": ["Ada", "Ada L."],
            "title": None,
        }
    ]


def test_the_languages_of_tydi_qa_stand_in_its_ids(tmp_path: Path, open_task: Callable) -> None:
    said = content(QUESTION | {"id": "arabic-2387-1"})
    said["data"] += content(QUESTION | {"id": "telugu-2387-1"})["data"]
    (tmp_path / "train.json").write_text(json.dumps(said))
    names = "languages: [ar, te], language_names: {ar: arabic, te: telugu}"
    task = open_task(f"{SQUAD}, {names}, language_column: language", **FIELDS)
    assert [(row.language, row.key("key")) for row in task] == [
        ("ar", "arabic-2387-1"),
        ("te", "telugu-2387-1"),
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "train.json: data: is missing; expected a list"),
        ({"data": [1]}, "data.0.paragraphs: is missing; expected a list"),
        (content(1), "data.0.paragraphs.0.qas.0.answers: is missing"),
        (content({**QUESTION, "id": 7}), "data.0.paragraphs.0.qas.0.id: found '7'; expected text"),
        (content({**QUESTION, "answers": ["a"]}), "qas.0.answers.0.text: is missing"),
    ],
)
def test_a_file_of_another_shape(
    tmp_path: Path, open_task: Callable, value: Any, says: str
) -> None:
    (tmp_path / "train.json").write_text(json.dumps(value))
    with pytest.raises(UserError) as error:
        open_task(SQUAD, **FIELDS)
    assert says in str(error.value)
