from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

ROWS = [
    {"key": f"k{i}", "lang": "no" if i % 3 else "de", "text": f"word {i}", "answer": f"NA {i}"}
    for i in range(300)
]


def make_spec(
    tmp_path: Path, reader: str = "parquet", data: str = "", fields: str = ""
) -> TaskSpec:
    path = tmp_path / "task.yaml"
    path.write_text(
        f"""\
task: words
version: 1
about: Translate.
data:
  reader: {reader}
  path: "words/{{split}}.{reader}"
  splits: {{train: train, test: test}}
  languages: [de, "no"]
  language_column: lang
  key_column: key
fields:
  text: {{kind: text, column: text}}
  {fields or "answer: {kind: text, column: answer}"}
example: {{source: "{{text}}", target: "{{answer}}"}}
score: [{{metric: bleu, against: answer, primary: true}}]
"""
    )
    return load_task(path)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=64)
    elif path.suffix == ".jsonl":
        objects = (json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_text("\n".join(objects), encoding="utf-8")
    else:
        lines = [",".join(rows[0]), *(",".join(f'"{v}"' for v in r.values()) for r in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("reader", ["parquet", "jsonl", "csv"])
def test_every_reader_gives_the_same_rows(tmp_path: Path, reader: str) -> None:
    write(tmp_path / f"words/train.{reader}", ROWS)
    data = TaskData(make_spec(tmp_path, reader), "train", tmp_path)
    assert len(data) == len(ROWS)
    assert [dict(row.columns) for row in data] == ROWS
    row = data[4]
    assert (row.where, row.language) == (f"words/train.{reader}:5", "no")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    root = tmp_path_factory.mktemp("root")
    write(root / "words/train.parquet", ROWS)
    return TaskData(make_spec(root), "train", root)


@settings(deadline=None, max_examples=50)
@given(indices=st.lists(st.integers(0, len(ROWS) - 1), max_size=40))
def test_rows_come_in_the_order_asked_for(opened: TaskData, indices: list[int]) -> None:
    assert [row.columns["key"] for row in opened.rows(indices)] == [f"k{i}" for i in indices]


@pytest.mark.parametrize("index", [-1, 300])
def test_an_index_outside_is_an_error(opened: TaskData, index: int) -> None:
    with pytest.raises(IndexError):
        opened[index]


def test_indices_by_language(opened: TaskData) -> None:
    found = opened.by_language()
    assert {tag: list(rows) for tag, rows in found.items()} == {
        "de": list(range(0, 300, 3)),
        "no": [i for i in range(300) if i % 3],
    }


def test_only_the_columns_of_the_spec_are_read(tmp_path: Path) -> None:
    write(tmp_path / "words/train.parquet", [{**row, "other": 1} for row in ROWS])
    assert set(TaskData(make_spec(tmp_path), "train", tmp_path).columns) == set(ROWS[0])


def test_one_file_a_language(tmp_path: Path) -> None:
    text = make_spec(tmp_path).text.replace("  language_column: lang\n", "")
    text = text.replace("{split}.parquet", "{split}-{language}.parquet")
    (tmp_path / "task.yaml").write_text(text)
    for language in ("de", "no"):
        rows = [row for row in ROWS if row["lang"] == language]
        write(tmp_path / f"words/train-{language}.parquet", rows)
    data = TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
    assert len(data) == 300
    assert [row.where for row in data.rows([100, 0])] == [
        "words/train-no.parquet:1",
        "words/train-de.parquet:1",
    ]
    assert [row.language for row in data.rows([100, 99])] == ["no", "de"]
    assert {k: len(v) for k, v in data.by_language().items()} == {"de": 100, "no": 200}


def test_a_column_may_depend_on_the_language(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, fields='answer: {kind: text, column: "answer_{language}"}')
    write(
        tmp_path / "words/train.parquet", [{**r, "answer_de": "a", "answer_no": "b"} for r in ROWS]
    )
    assert {"answer_de", "answer_no"} <= set(TaskData(spec, "train", tmp_path).columns)
    write(tmp_path / "words/test.parquet", [{**r, "answer_de": "a"} for r in ROWS])
    with pytest.raises(UserError, match=r"has no column 'answer_no'; did you mean 'answer'\?"):
        TaskData(spec, "test", tmp_path)


def test_features_of_datasets_are_left_to_the_image_loader(tmp_path: Path) -> None:
    from datasets import Dataset, Features, Image, Value

    features = Features({"key": Value("string"), "text": Value("string"), "answer": Image()})
    rows = {"key": ["1"], "text": ["a"], "answer": [{"bytes": b"no image", "path": None}]}
    table = Dataset.from_dict(rows, features=features).data.table
    path = tmp_path / "words/train.parquet"
    path.parent.mkdir()
    pq.write_table(table.append_column("lang", [["de"]]), path)
    row = TaskData(make_spec(tmp_path), "train", tmp_path)[0]
    assert row.columns["answer"] == {"bytes": b"no image", "path": None}


def test_jsonl_keeps_texts_that_look_like_something_else(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {**ROWS[0], "text": "2024-01-01", "answer": "12"},
        {**ROWS[1], "answer": None},
    ]
    write(tmp_path / "words/train.jsonl", rows)
    data = TaskData(make_spec(tmp_path, "jsonl"), "train", tmp_path)
    assert [dict(row.columns) for row in data] == rows


def test_jsonl_takes_numbers_for_texts(tmp_path: Path) -> None:
    write(tmp_path / "words/train.jsonl", [{**ROWS[0], "answer": 12}, {**ROWS[1], "answer": 7}])
    data = TaskData(make_spec(tmp_path, "jsonl"), "train", tmp_path)
    assert [row.columns["answer"] for row in data] == [12, 7]


GOOD = json.dumps(ROWS[0])
BAD_FILES = [
    ("jsonl", f"{GOOD}\n{GOOD}\n{{'a': 1}}", "train.jsonl:3: is not JSON: Expecting property name"),
    ("jsonl", f"{GOOD}\n[1]", "train.jsonl:2: is not an object"),
    (
        "jsonl",
        GOOD.replace("answer", "anwser"),
        "task.yaml:13: fields.answer.column: '{root}/words",
    ),
    ("jsonl", GOOD.replace("answer", "anwser"), "no column 'answer'; did you mean 'anwser'?"),
    ("jsonl", "", "task.yaml:6: data.path: train holds no row; expected at least one"),
    (
        "csv",
        "key,lang,text,answer\n1,de,a\n",
        "train.csv:2: found 3 values; expected 4: key, lang, text, answer",
    ),
    (
        "csv",
        "key,lang,text\n1,de,a\n",
        "task.yaml:13: fields.answer.column: '{root}/words/train.csv'",
    ),
    ("csv", "key,lang,text,answer\n", "task.yaml:6: data.path: train holds no row"),
    ("csv", "", "train.csv: is empty; expected a line of names"),
    ("parquet", "PAR1 and no more", "train.parquet: is not a Parquet file: "),
    ("parquet", "", "train.parquet: is not a Parquet file: "),
]


@pytest.mark.parametrize(("reader", "text", "message"), BAD_FILES)
def test_a_bad_file_is_named(tmp_path: Path, reader: str, text: str, message: str) -> None:
    path = tmp_path / f"words/train.{reader}"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError) as error:
        TaskData(make_spec(tmp_path, reader), "train", tmp_path)
    assert message.format(root=tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "column: text",
            "column: txet",
            "task.yaml:12: fields.text.column: '{root}/words/train.parq",
        ),
        ("column: text", "column: txet", "has no column 'txet'; did you mean 'text'?"),
        (
            "key_column: key",
            "key_column: id",
            "task.yaml:10: data.key_column: '{root}/words/train.p",
        ),
        ("_column: lang", "_column: l", "task.yaml:9: data.language_column: '{root}/words/train"),
        (
            "score:",
            "report_by: [cell]\nscore:",
            "task.yaml:15: report_by: '{root}/words/train.parque",
        ),
        (
            "words/",
            "wrods/",
            "task.yaml:6: data.path: there is no file '{root}/wrods/train.parquet'",
        ),
        (
            "train: train",
            "train: tarin",
            "no file '{root}/words/tarin.parquet'; did you mean 'train.p",
        ),
        ("train: train,", "", "task.yaml:7: data.splits: there is no split 'train'; expected test"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    write(tmp_path / "words/train.parquet", ROWS)
    text = make_spec(tmp_path).text
    assert old in text
    (tmp_path / "task.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
    assert message.format(root=tmp_path) in str(error.value)


READ = """
import sys
from pathlib import Path
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
root = Path(sys.argv[1])
print(len(TaskData(load_task(root / "task.yaml"), "train", root)))
"""


def test_processes_may_read_the_same_file_and_nothing_is_written(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    home.mkdir()
    write(root / "words/train.parquet", ROWS)
    make_spec(root)
    before = sorted(tmp_path.rglob("*"))
    environment = {**os.environ, "HOME": str(home), "HF_HOME": str(home)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", READ, str(root)], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == [b"300\n"] * 2
    assert sorted(tmp_path.rglob("*")) == before
