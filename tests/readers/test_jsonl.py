"""JSON Lines: any values, lines that are wrong, and rows that are found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl import json_text
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.readers.indexed import RowIndex
from unified_vl.readers.table import NO_TEXT

DATA = 'reader: jsonl, path: "{split}.jsonl", key_column: id'


def opened(tmp_path: Path, open_task: Callable, rows: list[Any]) -> TaskData:
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data: TaskData = open_task(DATA, text="text", answer="answer")
    return data


@pytest.mark.parametrize(
    "ids",
    [
        [f"t{n}" for n in range(1200)] + list(range(1200)),
        ["2024-01-01", "2024-01-02T03:04:05", "12:30"],
        ["007", "NA", "null", "true", "1e3", ""],
        [1, 2.5, True, 1 << 70],
        [[1], {"a": 1}, "x"],
        [1, None, 2],
        ["a", "b" * 200_000],
    ],
)
def test_values_are_what_the_file_has(tmp_path: Path, open_task: Callable, ids: list[Any]) -> None:
    rows = [
        {"id": one, "text": "a", "answer": one, "mixed": [n, "x"][n % 2]}
        for n, one in enumerate(ids)
    ]
    data = opened(tmp_path, open_task, rows)
    assert [row.columns["id"] for row in data] == ids
    said = [str(one) for one in ids if one is not None]
    assert list(data.keys()) == [("en", one) for one in said]
    assert [row.key("id") for row in data if row.columns["id"] is not None] == said
    flat = [str(v) for one in ids for v in (one if isinstance(one, list) else [one])]
    assert list(data.distinct("id")) == [v for v in dict.fromkeys(flat) if v != "None"]


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (["a", "b", None], True),
        ([1, 2, None], True),
        ([1, "b"], False),
        ([True, False], False),
        ([1, 1 << 70], False),
        (["a", "b" * 200_000], False),  # more than a tenth of what there is to read
        (["a", [1]], False),
    ],
)
def test_keys_and_languages_are_met_once(
    tmp_path: Path, open_task: Callable, ids: list[Any], kept: bool
) -> None:
    rows = [{"id": one, "text": "a", "answer": "b", "tongue": "en"} for one in ids]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = open_task(f"{DATA}, language_column: tongue", text="text", answer="answer")
    (tmp_path / "train.jsonl").unlink()
    assert {tag: list(rows) for tag, rows in data.by_language().items()} == {
        "en": list(range(len(ids)))
    }
    if kept:
        assert list(data.keys()) == [("en", str(one)) for one in ids if one is not None]
    else:
        with pytest.raises(UserError, match="has changed"):
            list(data.keys())


def test_columns_that_nobody_names_may_hold_anything(tmp_path: Path, open_task: Callable) -> None:
    rows = [
        {"id": n, "text": "a", "answer": "b", "other": v} for n, v in enumerate([1, "x", [1], {}])
    ]
    assert opened(tmp_path, open_task, rows).columns == ("text", "answer", "id")


def test_half_of_a_surrogate_pair_is_lost_alone(tmp_path: Path, open_task: Callable) -> None:
    texts = ["good", "bad \ud800", "\U0001f642 \\ud800"]
    rows = [{"id": n, "text": text, "answer": [text]} for n, text in enumerate(texts)]
    data = opened(tmp_path, open_task, rows)
    assert [row.columns["text"] for row in data] == ["good", NO_TEXT, texts[2]]
    assert data[1].columns["answer"] == NO_TEXT
    assert list(data.distinct("text")) == [texts[0], texts[2]]


def test_nesting_beyond_reason(
    tmp_path: Path, open_task: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "MOST_DEPTH", 5)
    rows = [{"id": 1, "text": "[[[[[[", "answer": "b", "other": [[[[1]]]]}]
    assert len(opened(tmp_path, open_task, rows)) == 1
    with pytest.raises(UserError, match=r"train.jsonl:2: is not JSON: it is nested more than 5"):
        opened(tmp_path, open_task, [*rows, {**rows[0], "other": [[[[[1]]]]]}])


@pytest.mark.parametrize("depth", [99, 100, 101])
def test_the_limit_of_depth_is_exact(depth: int) -> None:
    text = "[" * depth + "]" * depth
    for parse in (json_text.parse_json, json_text.fast_json):
        if depth <= json_text.MOST_DEPTH:
            assert isinstance(parse(text.encode()), list)
        else:
            with pytest.raises(ValueError, match="nested more than 100 deep"):
                parse(text.encode())


@settings(deadline=None, max_examples=50)
@given(
    lines=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3)), max_size=200),
    first=st.integers(0, 5),
)
def test_an_index_knows_where_each_row_is(lines: list[tuple[int, int]], first: int) -> None:
    index, end, places = RowIndex(0), first, []
    index.skip(end)
    for length, empty in lines:
        places.append((end, length + empty))
        end += length
        index.add(end)
        end += empty
        index.skip(end)
    assert [index.place(row) for row in range(len(index))] == places


def test_empty_lines_and_a_mark_are_no_rows(tmp_path: Path, open_task: Callable) -> None:
    line = '{"id": %d, "text": "a", "answer": "b"}'
    lines = ["", line % 0, "  ", "", line % 1, "", line % 2]
    (tmp_path / "train.jsonl").write_text("\r\n".join(lines), encoding="utf-8-sig")
    data = open_task(DATA, text="text", answer="answer")
    assert [row.columns["id"] for row in data.rows([2, 0, 1])] == [2, 0, 1]
    (tmp_path / "train.jsonl").write_text("changed since then")
    with pytest.raises(UserError, match=r"train.jsonl: has changed while it was read"):
        data[0]
