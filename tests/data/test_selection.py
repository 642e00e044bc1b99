"""Which rows are of a task: a column a language, empty texts, values that rows may lack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.codecs.segments import Image as ImageSegment
from unified_vl.codecs.segments import Text
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.selection import is_blank
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.load import load_task

SPEC = """\
task: task
version: 1
about: Say it.
data: {{splits: {{train: all}}, {data}}}
fields:
{fields}
example: {{source: "{source} ?", target: "{{answer}}", pick: {pick}}}
score: [{{metric: chrf, against: answer, primary: true}}]
"""


@pytest.fixture
def open_rows(tmp_path: Path) -> Callable[..., TaskData]:
    """The rows of a table: its rows, what `data` says, and the words of each field."""

    def open_it(rows: list[dict[str, Any]], data: str, **fields: str) -> TaskData:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
        path = tmp_path / "task.yaml"
        if "reader" not in data:
            data = f"reader: jsonl, path: rows.jsonl, {data}"
        text = SPEC.format(
            data=data,
            fields="\n".join(f"  {name}: {{{words}}}" for name, words in fields.items()),
            source=" ".join(f"{{{name}}}" for name in fields if name != "answer"),
            pick="{" + ", ".join(f"{n}: first" for n, w in fields.items() if "many:" in w) + "}",
        )
        path.write_text(text, encoding="utf-8")
        return TaskData(load_task(path), "train", tmp_path)

    return open_it


TEXT = "kind: text, column: "
BY_COLUMN = {"word": f"{TEXT}word", "answer": f"{TEXT}'says_{{language}}'"}
ROWS = [
    {"id": "a", "word": "one", "says_en": "1", "says_de": "eins"},
    {"id": "b", "word": "two", "says_en": " ", "says_de": "zwei"},
    {"id": "c", "word": "three", "says_en": "3", "says_de": None},
]


def test_a_column_a_language_makes_a_row_in_each(open_rows: Callable) -> None:
    data = open_rows(ROWS, "languages: [en, de], unpivot: true, key_column: id", **BY_COLUMN)
    assert [(row.language, row.where, row.columns[f"says_{row.language}"]) for row in data] == [
        ("en", "rows.jsonl:1", "1"),
        ("en", "rows.jsonl:3", "3"),
        ("de", "rows.jsonl:1", "eins"),
        ("de", "rows.jsonl:2", "zwei"),
    ]
    assert data.left_out == {"lack 'says_en'": 1, "lack 'says_de'": 1}
    assert {tag: len(rows) for tag, rows in data.by_language().items()} == {"en": 2, "de": 2}
    # translations share the key of their row
    assert len(set(data.keys())) == len(data) == 4
    words = ["check", str(data.root / "task.yaml"), "--data", str(data.root)]
    assert "distinct keys" not in CliRunner().invoke(app, words).output
    rows = [{**row, "id": "a"} for row in ROWS]
    data = open_rows(rows, "languages: [en, de], unpivot: true, key_column: id", **BY_COLUMN)
    said = CliRunner().invoke(app, words).output
    assert "train has 4 rows and 2 distinct keys within their languages" in said


@pytest.mark.parametrize("reader", ["jsonl", "csv", "tsv", "parquet"])
def test_columns_are_called_as_the_files_call_the_language(
    tmp_path: Path, open_rows: Callable, reader: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {"word": ["one", "two"], "English": ["1", "2"], "German": ["eins", ""]}
    between = "\t" if reader == "tsv" else ","
    texts = [between.join(cells) for cells in zip(*([k, *v] for k, v in table.items()))]  # noqa: B905
    (tmp_path / f"rows.{reader}").write_text("\n".join(texts) + "\n")
    if reader == "parquet":
        pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    rows = [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]
    data = open_rows(
        rows,
        f"reader: {reader}, path: rows.{reader}, languages: [en, de], unpivot: true, "
        "language_names: {en: English, de: German}",
        word=f"{TEXT}word",
        answer=f"{TEXT}'{{language}}'",
    )
    builder = ExampleBuilder(data.spec, ImageLoader(tmp_path, (4, 4)))
    examples = [builder.build(row, seed=None) for row in data]
    assert [(e.language, e.target) for e in examples] == [
        ("en", (Text("1"),)),
        ("en", (Text("2"),)),
        ("de", (Text("eins"),)),
    ]
    assert data.left_out == {"lack 'German'": 1}


def test_a_column_that_one_language_lacks_is_named(open_rows: Callable) -> None:
    with pytest.raises(UserError, match=r"fields\.answer\.column: .* has no column 'says_fr'"):
        open_rows(ROWS, "languages: [en, fr], unpivot: true", **BY_COLUMN)


CELLS = st.none() | st.sampled_from(["", " ", "a", "b c", "一"])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1))
def test_no_cell_is_lost_uncounted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, ...]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    tags = ("en", "de", "ja")
    cells = [dict(zip(tags, row, strict=True)) | {"word": "w"} for row in rows]
    cells += [{**dict.fromkeys(tags, "there"), "word": "w"}]  # a column of nothing is missing
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in cells))
    keys = "reader: jsonl, path: rows.jsonl, languages: [en, de, ja], unpivot: true"
    fields = f"  word: {{{TEXT}word}}\n  answer: {{{TEXT}'{{language}}'}}"
    text = SPEC.format(data=keys, fields=fields, source="{word}", pick="{}")
    (root / "task.yaml").write_text(text)
    data = TaskData(load_task(root / "task.yaml"), "train", root)
    assert len(data) + sum(data.left_out.values()) == len(tags) * len(cells)
    for tag in tags:
        own = [row for row in data if row.language == tag]
        wanted = [(n, cell[tag]) for n, cell in enumerate(cells) if not is_blank(cell[tag])]
        assert [(row.index, row.columns[tag]) for row in own] == wanted


def test_empty_texts_are_dropped_and_counted(tmp_path: Path, open_rows: Callable) -> None:
    rows = [
        {"word": "a", "says": ["", "A", " "]},
        {"word": "b", "says": [""]},
        {"word": "c", "says": ["C"]},
        {"word": "d", "says": []},
        {"word": "e", "says": None},
    ]
    answer = f"{TEXT}says, many: true"
    data = open_rows(rows, "languages: [en]", word=f"{TEXT}word", answer=f"{answer}, missing: drop")
    assert [row.columns["says"] for row in data] == [["A"], ["C"]]
    assert [row.where for row in data] == ["rows.jsonl:1", "rows.jsonl:3"]
    assert (data.left_out, data.lost) == (
        {"have nothing in 'says'": 3},
        {"empty values of 'answer'": 2},
    )
    words = ["check", str(tmp_path / "task.yaml"), "--data", str(tmp_path)]
    said = CliRunner().invoke(app, words).output.replace("\n", " ")
    assert "train leaves out 3 of 5 rows: they have nothing in 'says'" in said
    assert "4: data: lost in train: empty values of 'answer' (2)" in said
    # without the key such a row is bad
    data = open_rows(rows, "languages: [en]", word=f"{TEXT}word", answer=answer)
    builder = ExampleBuilder(data.spec, ImageLoader(tmp_path, (4, 4)))
    for number in (0, 1, 3, 4):
        with pytest.raises(BadRow):
            builder.build(data[number], seed=None)


def test_empty_texts_in_cells_of_csv_and_in_one_language(
    tmp_path: Path, open_rows: Callable
) -> None:
    (tmp_path / "rows.csv").write_text(
        'lang,word,says_en,says_de\nen,a,"[""A"", """"]",\nde,b,,"["" ""]"\nde,c,,"[""C""]"\n'
    )
    data = open_rows(
        [],
        "reader: csv, path: rows.csv, languages: [en, de], language_column: lang",
        word=f"{TEXT}word",
        answer=f"{TEXT}'says_{{language}}', many: true, missing: drop",
    )
    assert [(row.columns["word"], row.columns[f"says_{row.language}"]) for row in data] == [
        ("a", '["A"]'),
        ("c", '["C"]'),
    ]
    assert (data.left_out, data.lost) == (
        {"have nothing in 'says_de'": 1},
        {"empty values of 'answer'": 1},
    )


def test_a_row_may_do_without_an_image(tmp_path: Path, open_rows: Callable) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "0.png")
    rows: list[dict[str, Any]] = [
        {"image": "0.png", "word": "a", "says": "A", "hints": ["x"]},
        {"image": None, "word": "b", "says": "B", "hints": []},
        {"image": "", "word": "c", "says": "C", "hints": [""]},
    ]
    data = open_rows(
        rows,
        "languages: [en]",
        image="kind: image, column: image, missing: allow",
        hints=f"{TEXT}hints, many: true, missing: allow",
        word=f"{TEXT}word",
        answer=f"{TEXT}says",
    )
    builder = ExampleBuilder(data.spec, ImageLoader(tmp_path, (4, 4)))
    for seed in (None, 7):
        first, *others = (builder.build(row, seed=seed) for row in data)
        image, text = first.source
        assert isinstance(image, ImageSegment)
        assert text == Text("x a ?")
        assert [other.source for other in others] == [(Text("b ?"),), (Text("c ?"),)]
        assert [other.image_size for other in others] == [None, None]


def test_what_no_row_has_is_said(tmp_path: Path, open_rows: Callable) -> None:
    rows = [{"word": "a", "says": "A"}, {"word": "b", "says": "B"}]
    hint = f"{TEXT}hnit, missing: allow"
    data = open_rows(rows, "languages: [en]", hint=hint, word=f"{TEXT}word", answer=f"{TEXT}says")
    assert [row.columns["hnit"] for row in data] == [None, None]
    words = ["check", str(tmp_path / "task.yaml"), "--data", str(tmp_path)]
    said = CliRunner().invoke(app, words).output
    assert "6: fields.hint.column: no row of train has a value; remedy: look at the" in said


def test_a_box_in_pixels_needs_an_image(tmp_path: Path, open_rows: Callable) -> None:
    rows = [{"image": None, "box": [0, 0, 2, 2], "says": "B"}]
    data = open_rows(
        rows,
        "languages: [en]",
        image="kind: image, column: image, missing: allow",
        box="kind: box, column: box, layout: xyxy, units: pixels",
        answer=f"{TEXT}says",
    )
    builder = ExampleBuilder(data.spec, ImageLoader(tmp_path, (4, 4)))
    with pytest.raises(BadRow, match="box: is in pixels, and the row has no image"):
        builder.build(data[0], seed=None)


@pytest.mark.parametrize(
    "value", [None, "", " \n", [], [""], [None, " "], "[]", '["", null]', {"bytes": None}]
)
def test_what_is_blank(value: object) -> None:
    assert is_blank(value)


@pytest.mark.parametrize("value", [0, 0.0, False, "a", ["", "a"], "[", "[1]", {"bytes": b"1"}])
def test_what_is_not(value: object) -> None:
    assert not is_blank(value)
