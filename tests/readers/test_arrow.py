from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from unified_vl.errors import UserError

ROWS = {"a": ["x", "y", "z"], "b": ["1", "2", "3"], "other": [1, 2, 3]}


def write(path: Path, kind: str) -> None:
    table = pa.table(ROWS)
    if kind == "feather":
        feather.write_feather(table, str(path))
        return
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


@pytest.mark.parametrize("kind", ["feather", "file", "stream"])
def test_every_form_of_an_arrow_file(tmp_path: Path, open_task: Callable, kind: str) -> None:
    write(tmp_path / "train.arrow", kind)
    data = open_task('reader: arrow, path: "{split}.arrow"', text="a", answer="b")
    assert [dict(row.columns) for row in data.rows([2, 0, 1])] == [
        {"a": "z", "b": "3"},
        {"a": "x", "b": "1"},
        {"a": "y", "b": "2"},
    ]


def test_rows_stay_on_disk(tmp_path: Path, open_task: Callable) -> None:
    table = pa.table({"a": ["x" * 1000] * 20_000, "b": ["y"] * 20_000})
    with pa.ipc.new_file(str(tmp_path / "train.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    del table
    before = pa.total_allocated_bytes()
    data = open_task('reader: arrow, path: "{split}.arrow"', text="a", answer="b")
    assert data[12_345].columns["b"] == "y"
    assert pa.total_allocated_bytes() - before < 1 << 20  # of 20 MB


def test_a_folder_of_datasets(tmp_path: Path, open_task: Callable) -> None:
    from datasets import Dataset

    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "saved/train", num_shards=2)
    data = open_task('reader: arrow, path: "saved/{split}"', text="a", answer="b")
    assert [row.columns["a"] for row in data] == ["x", "y", "z"]
    assert data[0].where == "saved/train:1"


def test_a_folder_of_splits_is_named(tmp_path: Path, open_task: Callable) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_dict(ROWS)}).save_to_disk(tmp_path / "saved")
    data = "reader: arrow, path: saved, splits: {train: train}"
    with pytest.raises(UserError, match=r"holds the splits train; name one: saved/\{split\}"):
        open_task(data, text="a", answer="b")
    found = open_task('reader: arrow, path: "saved/{split}"', text="a", answer="b")
    assert len(found) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no arrow", "train.arrow: is not an Arrow file: "),
        (b"", "train.arrow: is not an Arrow file: "),
        (None, "train.arrow: is not a folder of `save_to_disk`: "),
    ],
)
def test_what_is_no_arrow(
    tmp_path: Path, open_task: Callable, content: bytes | None, says: str
) -> None:
    path = tmp_path / "train.arrow"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError) as error:
        open_task('reader: arrow, path: "{split}.arrow"', text="a", answer="b")
    assert says in str(error.value)


def test_a_cut_file(tmp_path: Path, open_task: Callable) -> None:
    path = tmp_path / "train.arrow"
    write(path, "file")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"train.arrow: is not an Arrow file: "):
        open_task('reader: arrow, path: "{split}.arrow"', text="a", answer="b")


def test_a_missing_column(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "train.arrow", "file")
    with pytest.raises(UserError, match=r"has no column 'othr'; did you mean 'other'"):
        open_task('reader: arrow, path: "{split}.arrow"', text="othr", answer="b")
