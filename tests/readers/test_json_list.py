"""One JSON list of objects, as scripts dump their rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError

ROWS = [
    {"id": 7, "image": "a.png", "answer": "a heron", "more": [1, "x"]},
    {"id": "007", "image": "b.png", "answer": "a pike", "more": None},
    {"image": "c.png", "answer": None},
]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_row_an_object(tmp_path: Path, open_task: Callable, indent: int | None) -> None:
    (tmp_path / "train.json").write_text(json.dumps(ROWS, indent=indent), "utf-8")
    data = open_task(
        'reader: json, path: "{split}.json"', image="image, kind: image", answer="answer"
    )
    assert [(row.columns["image"], row.columns["answer"]) for row in data] == [
        ("a.png", "a heron"),
        ("b.png", "a pike"),
        ("c.png", None),
    ]
    assert data[1].where == "train.json:2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rows": []}', r"train\.json: starts with .*expected a list"),
        ("[1, 2]", r"train\.json: item 0 is no object; expected a list of objects"),
        ('[{"answer": "a"}, 3]', r"train\.json: item 1 is no object"),
        ('[{"answer": "a"}', r"train\.json: is not JSON"),
        ('[{"answr": "a"}]', r"no column 'answer'.*did you mean 'answr'"),
    ],
)
def test_what_is_no_such_list(tmp_path: Path, open_task: Callable, text: str, said: str) -> None:
    (tmp_path / "train.json").write_text(text, "utf-8")
    with pytest.raises(UserError, match=said):
        open_task('reader: json, path: "{split}.json"', answer="answer")


def test_a_list_in_jsonl_says_what_reads_it(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.jsonl").write_text('[{"answer": "a"}]\n', "utf-8")
    with pytest.raises(UserError, match=r"train\.jsonl:1: is not an object; expected reader: json"):
        open_task('reader: jsonl, path: "{split}.jsonl"', answer="answer")
