"""unified_vl/inference/rows.py and answers.py: the kinds of files around a prediction."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unified_vl.errors import UserError
from unified_vl.inference.answers import FORMATS
from unified_vl.inference.files import predict_file
from unified_vl.inference.prediction import FLAGS, Alternative, Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.rows import BATCH, open_rows
from unified_vl.inference.task_answers import TaskAnswers


@pytest.fixture
def predictor(tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


class Dies(Exception):
    """Stands for a kill."""


def die_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> list[int]:
    """Let every predictor fail behind so many batches; how many rows each had is kept."""
    real = TaskAnswers.answer
    sizes: list[int] = []

    def counting(self: TaskAnswers, rows: list, n: int) -> list:
        if len(sizes) == batches:
            raise Dies
        sizes.append(len(rows))
        return real(self, rows, n)

    monkeypatch.setattr(TaskAnswers, "answer", counting)
    return sizes


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"key,text\n1,a cat\n2,no\n"),
        ("a.csv", b"key;text\n1;a cat\n2;no\n"),
        ("a.csv", b'"key";"text"\r\n"1";"a cat"\r\n"2";"no"\r\n'),
        ("a.csv", b"key\ttext\n1\ta cat\n2\tno\n"),
        ("a.tsv", b"key\ttext\n1\ta cat\n2\tno\n"),
        ("a.TSV", b"key\ttext\n1\ta cat\n2\tno\n"),
        ("a.csv", b"key|text\n1|a cat\n2|no\n"),
        ("a.csv", "\ufeffkey;text\n1;a cat\n2;no\n".encode()),
        ("a.csv", "key\ttext\n1\ta cat\n2\tno\n".encode("utf-16")),
    ],
)
def test_tables_are_read_as_spreadsheets_write_them(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    opened = open_rows(tmp_path / name, None)
    found = [row for _, row in opened.rows(0)]
    assert found == [{"key": "1", "text": "a cat"}, {"key": "2", "text": "no"}]
    assert len(opened) == 2


ROWS = [
    {"key": f"k{i}", "text": text}
    for i, text in enumerate(["yes", "a red cat", "", "no", "a dog and a cat", "cat", "a"] * 6)
]


def write_any(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".jsonl":
        return write_jsonl(path, rows)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_any(path: Path) -> list[dict]:
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {name: value or None for name, value in row.items() if name != "prediction"}
        row |= {name: json.loads(row[name]) for name in ("boxes", "score", *FLAGS) if row[name]}
        row["prediction"] = None if row["error"] else row["prediction"]
    return rows


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize("cut", [0, 30])
def test_every_kind_of_file_goes_on_after_an_interruption(
    predictor, tmp_path: Path, monkeypatch, ending: str, cut: int
) -> None:
    source = write_any(tmp_path / f"rows.{ending}", ROWS)
    whole, out = tmp_path / "whole.jsonl", tmp_path / f"out.{ending}"
    predict_file(predictor, "tiny_copy", source, whole, batch_size=2)
    with monkeypatch.context() as patch:
        die_after(patch, 10)
        with pytest.raises(Dies):
            predict_file(predictor, "tiny_copy", source, out, batch_size=2)
    assert not out.exists()
    partial = tmp_path / f"out.{ending}.partial"
    kept = partial.read_bytes()
    partial.write_bytes(kept[: len(kept) - cut])  # what a kill in the middle of a write leaves
    first = partial.read_bytes().count(b"\n")
    assert 0 < first < len(ROWS)
    sizes = die_after(monkeypatch, 10**9)
    assert predict_file(predictor, "tiny_copy", source, out, batch_size=2) == 6
    assert sum(sizes) == sum(bool(row["text"]) for row in ROWS[first:])  # none is done again
    found, expected = read_any(out), read_jsonl(whole)
    assert [list(row) for row in found] == [list(row) for row in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine | {"score": 0} == theirs | {"score": 0}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, source.name, whole.name])


def test_a_kill_while_the_output_is_written_costs_no_answer(
    predictor, tmp_path: Path, monkeypatch
) -> None:
    source = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    out = tmp_path / "out.parquet"
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise Dies

        patch.setattr(pq.ParquetWriter, "write_batch", die)
        with pytest.raises(Dies):
            predict_file(predictor, "tiny_copy", source, out)
    assert not out.exists()
    sizes = die_after(monkeypatch, 10**9)
    assert predict_file(predictor, "tiny_copy", source, out) == 6
    assert sizes == []
    assert pq.read_table(out).num_rows == len(ROWS)


def test_parquet_holds_images_and_is_read_from_any_row(predictor, tiny, tmp_path: Path) -> None:
    content = [(tiny.data / f"images/{n}.png").read_bytes() for n in range(3)]
    number = BATCH + 5
    rows = [
        {"key": i, "image": {"bytes": content[i % 3], "path": None}, "phrase": "a dog"}
        for i in range(number)
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=BATCH + 2)
    file = open_rows(path, None)
    assert len(file) == number
    for start in (0, 1, BATCH - 1, BATCH, BATCH + 1, BATCH + 2, BATCH + 3, number):
        left = list(file.rows(start))
        assert [(n, row["key"]) for n, row in left] == [(i + 1, i) for i in range(start, number)]
    out = tmp_path / "out.parquet"
    assert predict_file(predictor, "tiny_ground", path, out, language="fa", n=2) == 0
    table = pq.read_table(out)
    assert table.schema.field("boxes").type == pa.list_(pa.list_(pa.float64()))
    for row, answer in zip(rows[:3], table.to_pylist(), strict=False):
        expected = predictor.predict(
            "tiny_ground", "fa", image=row["image"]["bytes"], phrase="a dog", n=2
        )
        assert answer["key"] == str(row["key"])
        assert answer["boxes"] == expected.boxes
        assert [a["boxes"] for a in answer["alternatives"]] == [
            a.boxes for a in expected.alternatives
        ]


def test_every_shape_of_an_answer_has_a_column(tmp_path: Path) -> None:
    other = Alternative(
        "", -1.0, shapes={"boxes": [[1.0, 2, 3, 4]], "labels": ["a"], "points": [[5.0, 6]]}
    )
    shapes = other.shapes | {"polygons": [[1.0, 2, 3, 4, 5, 6]]}
    good = Prediction("k", "x", -1.0, shapes=shapes, alternatives=(other,)).as_row()
    bad = Prediction(None, None, None, error="why").as_row()
    gathered = write_jsonl(tmp_path / "gathered", [bad, good])
    for ending in (".parquet", ".csv"):
        FORMATS[ending].write(gathered, tmp_path / f"out{ending}")
    first, second = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert first == dict.fromkeys(second) | bad
    assert second.pop("alternatives") == [other.as_row() | {"polygons": None}]
    assert second == {k: v for k, v in good.items() if k != "alternatives"}
    with (tmp_path / "out.csv").open(newline="") as file:
        assert json.loads(list(csv.DictReader(file))[1]["polygons"]) == good["polygons"]


def test_a_folder_is_asked_in_several_languages(predictor, tmp_path: Path, picture) -> None:
    folder = tmp_path / "pictures"
    for name in ("b.png", "a/c.PNG", ".hidden/d.png", "note.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(1).save(folder / name, "PNG")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out.csv"
    assert predict_file(predictor, "tiny_caption", folder, out, language=["de", "fa"]) == 2
    found = read_any(out)
    assert list(found[0]) == ["key", "language", "prediction", "boxes", "score", "error", *FLAGS]
    names = ["a/c.PNG", "b.png", "cut.jpg"]
    assert [(r["key"], r["language"]) for r in found] == [
        (name, language) for name in names for language in ("de", "fa")
    ]
    for row in found[:4]:
        alone = predictor.predict("tiny_caption", row["language"], image=folder / row["key"])
        assert row["prediction"] == alone.text
    assert "'cut.jpg' cannot be read" in found[4]["error"]


def test_languages_of_rows_are_understood_in_any_spelling(
    predictor, tmp_path: Path, picture
) -> None:
    rows = [{"image": "images/1.png", "language": tag} for tag in ("de", "deu", "fas_Arab", "x")]
    source = write_jsonl(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "out.jsonl"
    path = tmp_path / "images/1.png"
    path.parent.mkdir()
    picture(1).save(path)
    assert predict_file(predictor, "tiny_caption", source, out) == 1
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert answers[0]["prediction"] == answers[1]["prediction"]
    assert answers[2]["error"] is None and "unknown language 'x'" in answers[3]["error"]


def test_several_languages_go_on_in_the_middle_of_a_row(
    predictor, tmp_path: Path, picture, monkeypatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        picture(number).save(folder / f"{number}.png")
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    languages = ("en", "de", "fa")
    predict_file(predictor, "tiny_caption", folder, whole, language=languages)
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    with monkeypatch.context() as patch:
        die_after(patch, 0)
        with pytest.raises(Dies):
            predict_file(predictor, "tiny_caption", folder, out, language=languages)
    (tmp_path / "out.jsonl.partial").write_text("".join(lines[:7]), encoding="utf-8")
    sizes = die_after(monkeypatch, 10**9)
    predict_file(predictor, "tiny_caption", folder, out, language=languages)
    assert sum(sizes) == 8
    found = read_jsonl(out)
    for mine, theirs in zip(found, read_jsonl(whole), strict=True):
        assert mine | {"score": 0} == theirs | {"score": 0}


def test_a_row_that_names_a_language_beside_several_gets_a_message(
    predictor, tmp_path: Path, picture
) -> None:
    picture(1).save(tmp_path / "a.png")
    rows = [{"image": "a.png"}, {"image": "a.png", "language": "de"}]
    source = write_jsonl(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "out.jsonl"
    assert predict_file(predictor, "tiny_caption", source, out, language=("en", "de")) == 1
    assert [row["error"] is None for row in read_jsonl(out)] == [True, True, False, True]


def test_coco_results_and_the_rows_that_have_none(predictor, tmp_path: Path, picture) -> None:
    picture(1).save(tmp_path / "a.png")
    good = {"image": "a.png", "phrase": "a dog", "image_id": 7, "category_id": "3"}
    rows = [
        good,
        {k: v for k, v in good.items() if k != "image_id"},
        good | {"category_id": "dog"},
        good | {"image": "b.png"},
        good | {"image_id": 8, "phrase": "a cat"},
    ]
    source = write_jsonl(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "results.json"
    assert predict_file(predictor, "tiny_ground", source, out, language="en") == 3
    found = json.loads(out.read_text())
    assert [(one["image_id"], one["category_id"]) for one in found] == [(7, 3), (8, 3)]
    alone = predictor.predict("tiny_ground", "en", image=tmp_path / "a.png", phrase="a dog")
    x1, y1, x2, y2 = alone.boxes[0]
    assert found[0]["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=1e-3)
    assert found[0]["score"] == pytest.approx(math.exp(alone.score), abs=1e-5)
    errors = [row["error"] for row in read_jsonl(tmp_path / "results.json.errors.jsonl")]
    assert len(errors) == 3
    assert "rows.jsonl:2: image_id: is missing; expected a whole number" in errors[0]
    assert "rows.jsonl:3: category_id: found 'dog'" in errors[1]
    assert "there is no image 'b.png'" in errors[2]
    write_jsonl(source, [])
    assert predict_file(predictor, "tiny_ground", source, out, language="en") == 0
    assert json.loads(out.read_text()) == []
    assert not (tmp_path / "results.json.errors.jsonl").exists()
    with pytest.raises(UserError, match="'tiny_caption' has no boxes for COCO results"):
        predict_file(predictor, "tiny_caption", source, out, language="en")


def test_bad_lines_of_csv_fail_alone(predictor, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_bytes(b'key,text\n1,"yes\n\nno"\n2\n\n3,\xff\n4,\n5,no\n')
    out = tmp_path / "out.jsonl"
    assert predict_file(predictor, "tiny_copy", source, out) == 3
    found = read_jsonl(out)
    assert [row["error"] is None for row in found] == [True, False, False, False, True]
    assert "rows.csv:5: found 1 cells; expected 2" in found[1]["error"]
    assert "rows.csv:7: is not UTF-8 text" in found[2]["error"]
    assert "needs the field 'text'" in found[3]["error"]


def test_half_of_a_surrogate_pair_is_no_text_of_parquet_and_csv(predictor, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text('{"key": "\\ud800", "text": "yes"}\n')
    for ending in ("csv", "parquet"):
        assert predict_file(predictor, "tiny_copy", source, tmp_path / f"out.{ending}") == 0
        assert read_any(tmp_path / f"out.{ending}")[0]["key"] == "\\ud800"


SPOILT = {
    "jsonl": b'{"text": "\\ud800"}\n{"text": "\xff"}\n{"text": '
    + b"[" * 2000
    + b"]" * 2000
    + b"}\n",
    "csv": b'text\n\xff\n"a\xed\xa0\x80"\n' + b"\xfe\n",
    "parquet": b"",
}


@pytest.mark.parametrize("ending", SPOILT)
def test_what_is_no_utf8_gets_a_message_and_the_others_an_answer(
    predictor, tmp_path: Path, ending: str
) -> None:
    source = tmp_path / f"rows.{ending}"
    good = {"jsonl": b'{"text": "yes"}\n', "csv": b"no\n", "parquet": b""}[ending]
    source.write_bytes(SPOILT[ending] + good)
    if ending == "parquet":
        cells = pa.array([b"\xff", b"\xfe", b"a\xed\xa0\x80", b"no"], pa.binary()).view(pa.string())
        pq.write_table(pa.table({"text": cells}), source)
    assert predict_file(predictor, "tiny_copy", source, tmp_path / "out.jsonl") == 3
    answers = read_jsonl(tmp_path / "out.jsonl")
    assert [answer["error"] is None for answer in answers] == [False] * 3 + [True]
    for number, answer in enumerate(answers[:3], 1):
        place = f"rows.{ending}:{number + (ending == 'csv')}"
        assert place in answer["error"]
        assert "UTF-8" in answer["error"] or "utf-8" in answer["error"] or "deep" in answer["error"]


def test_a_cell_of_more_than_128_kib(predictor, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\n" + "a " * 100_000 + "\nno\n")
    assert predict_file(predictor, "tiny_copy", tmp_path / "rows.csv", tmp_path / "out.jsonl") == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsnl", b"", r"rows\.jsnl: no rows are read .*did you mean '\.jsonl'"),
        ("rows.parquet", b"PAR1 no", r"rows\.parquet: is not a Parquet file"),
        ("rows.csv", b"", r"rows\.csv:1: the first line does not name the columns"),
        ("rows.csv", b"a,a\n1,2\n", r"rows\.csv:1: the first line does not name the columns"),
        ("rows.csv", b'text\n"yes\n', r"rows\.csv:2: a quote opens here and never ends"),
    ],
)
def test_files_that_are_no_rows(
    predictor, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        predict_file(predictor, "tiny_copy", tmp_path / name, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_what_cannot_be_asked_of_a_file(predictor, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "rows.jsonl", [{"text": "yes"}])
    with pytest.raises(UserError, match=r"did you mean '\.parquet'"):
        predict_file(predictor, "tiny_copy", source, tmp_path / "out.parqet")
    with pytest.raises(UserError, match="unknown language 'eo'; expected one of en"):
        predict_file(predictor, "tiny_copy", source, tmp_path / "out.csv", language="eo")
    with pytest.raises(UserError, match="each once"):
        predict_file(predictor, "tiny_copy", source, tmp_path / "out.csv", language=[])
    with pytest.raises(UserError, match="each once"):
        both = ["de", "deu"]
        predict_file(predictor, "tiny_caption", source, tmp_path / "out.csv", language=both)
    with pytest.raises(UserError, match="holds no image"):
        (tmp_path / "empty").mkdir()
        predict_file(predictor, "tiny_caption", tmp_path / "empty", tmp_path / "out.csv")
    with pytest.raises(UserError, match="the task 'tiny_copy' reads no image"):
        predict_file(predictor, "tiny_copy", tmp_path / "empty", tmp_path / "out.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "rows.jsonl"]
