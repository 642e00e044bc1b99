"""Parquet: rows of any row group, kinds of columns that few write, and what stays on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.readers.formats import parquet
from unified_vl.readers.formats.parquet import ParquetTable, RowGroups
from unified_vl.readers.table import NO_TEXT

ROWS = 1000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    table = pa.table({"a": list(range(ROWS)), "b": [f"{n}" * 50 for n in range(ROWS)]})
    pq.write_table(table, path, row_group_size=64)
    return path


@pytest.mark.parametrize("kept", [0, 20_000, 1 << 28])
@settings(deadline=None, max_examples=25)
@given(places=st.lists(st.integers(0, ROWS - 1), max_size=50))
def test_rows_come_as_asked_whatever_is_kept(file: Path, kept: int, places: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "KEPT", RowGroups(kept))
        table = ParquetTable(file, ("b", "a"))
        assert table.take(places) == {"b": [f"{n}" * 50 for n in places], "a": places}


@pytest.mark.parametrize("kept", [0, 1 << 28])
def test_a_column_is_read_in_order(file: Path, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "KEPT", RowGroups(kept))
    assert list(ParquetTable(file, ("a", "b")).column("a")) == list(range(ROWS))


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_group_too_large_to_keep_is_read_once_where_rows_come_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """As pandas writes tables: a single row group."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(ROWS)), "b": ["x" * 50] * ROWS}), path)
    monkeypatch.setattr(parquet, "KEPT", RowGroups(0))
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 1000)
    table = ParquetTable(path, ("a", "b"))
    decoded: list[int] = []
    batches = ParquetTable._batches

    def counted(*asked: object) -> Iterator[pa.RecordBatch]:
        for batch in batches(*asked):
            decoded.append(len(batch))
            yield batch

    monkeypatch.setattr(ParquetTable, "_batches", counted)
    for start in range(0, ROWS, step):
        places = range(start, min(start + step, ROWS))
        assert table.take(places)["a"] == list(places)
    assert sum(decoded) == ROWS
    assert len(decoded) > 5
    assert table.take([3, 2])["a"] == [3, 2]  # and back
    assert sum(decoded) > ROWS


def test_what_is_kept_is_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = RowGroups(30_000)
    monkeypatch.setattr(parquet, "KEPT", groups)
    table = ParquetTable(file, ("a", "b"))
    table.take(range(ROWS))
    held = [size for _, size in groups._held.values()]
    assert 0 < sum(held) <= 30_000
    assert len(held) < 16


def test_opening_reads_no_row(tmp_path: Path, open_task: Callable) -> None:
    path = tmp_path / "train.parquet"
    images = [{"bytes": bytes([n]) * 100_000, "path": None} for n in range(200)]
    pq.write_table(pa.table({"image": images, "b": ["x"] * 200}), path, compression="none")
    del images
    before = pa.total_allocated_bytes()
    data = open_task('reader: parquet, path: "{split}.parquet"', text="image", answer="b")
    assert len(data) == 200
    assert len(data.by_language()["en"]) == 200
    assert list(data.distinct("b")) == ["x"]
    assert pa.total_allocated_bytes() - before < 1 << 20  # of 20 MB


def broken_text() -> pa.Array:
    return pa.array([b"good", b"\xff\xfe"], pa.binary()).view(pa.string())


def lists_of_json() -> pa.Array:
    return pa.ListArray.from_arrays([0, 1, 2], pa.array(['{"a": 1}', "3"], pa.json_()))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (broken_text(), ["good", NO_TEXT]),
        (pa.array([[1, 2], [3]], pa.list_view(pa.int64())), [[1, 2], [3]]),
        (pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
        (pa.array([Decimal("1.50"), None]), [Decimal("1.50"), None]),
        (pa.array([["a", None], []], pa.large_list(pa.large_string())), [["a", None], []]),
        (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        (pa.RunEndEncodedArray.from_arrays([2], ["x"]), ["x", "x"]),
        (pa.array(['{"a": 1}', '"2"'], pa.json_()), [{"a": 1}, "2"]),
        (lists_of_json(), [[{"a": 1}], [3]]),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_kinds_of_columns(
    tmp_path: Path, open_task: Callable, kind: str, cells: pa.Array, values: list[object]
) -> None:
    table = pa.table({"a": cells, "b": ["x", "y"]})
    path = tmp_path / f"train.{kind}"
    if kind == "arrow":
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        try:
            pq.write_table(table, path)
        except pa.ArrowNotImplementedError:
            pytest.skip("Parquet has no such column")
    data = open_task(f'reader: {kind}, path: "{{split}}.{kind}"', text="a", answer="b")
    assert [row.columns["a"] for row in data] == values
