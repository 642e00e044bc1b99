from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_task

TSV = 'index\tsentence\tlabel\n0\tsaid "so\t1\n1\tNA\t0\n'


def test_a_cell_is_text_whatever_it_holds(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.tsv").write_text(TSV)
    data = open_task(
        'reader: tsv, path: "{split}.tsv", key_column: index', text="sentence", answer="label"
    )
    assert [dict(row.columns) for row in data] == [
        {"index": "0", "sentence": 'said "so', "label": "1"},
        {"index": "1", "sentence": "NA", "label": "0"},
    ]


@pytest.mark.parametrize(("reader", "between"), [("tsv", "\t"), ("csv", ",")])
def test_a_file_without_a_line_of_names(
    tmp_path: Path, open_task: Callable, reader: str, between: str
) -> None:
    (tmp_path / "train").write_text(f"a{between}b{between}c\nd{between}e{between}f\n")
    data = open_task(
        f'reader: {reader}, path: "{{split}}", columns: [x, y, z]', text="z", answer="x"
    )
    assert [dict(row.columns) for row in data] == [{"z": "c", "x": "a"}, {"z": "f", "x": "d"}]
    with pytest.raises(UserError, match=r"tsv gives no column 'w'|csv gives no column 'w'"):
        open_task(f'reader: {reader}, path: "{{split}}", columns: [x, y]', text="w", answer="x")


def test_lines_of_another_width_stop_or_are_left_out(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.tsv").write_text("a\tb\n1\t2\n3\n4\t5\n6\t7\t8\n9\t10\n")
    data = 'reader: tsv, path: "{split}.tsv"'
    with pytest.raises(UserError, match=r"train.tsv:3: found 1 value; expected 2: a, b"):
        open_task(data, text="a", answer="b")
    found = open_task(f"{data}, on_bad_row: skip", text="a", answer="b")
    assert [(row.columns["a"], row.index) for row in found] == [("1", 0), ("4", 2), ("9", 4)]
    assert found.left_out == {"have more or fewer values than there are columns": 2}


def test_many_files_are_one_split_in_the_order_of_their_names(
    tmp_path: Path, open_task: Callable
) -> None:
    (tmp_path / "shards").mkdir()
    for number in (1, 10, 2):
        text = "a\tb\n" + "".join(f"{number}.{row}\tx\n" for row in range(number))
        (tmp_path / f"shards/train-{number:02d}[0].tsv").write_text(text)
    (tmp_path / "shards/test-01[0].tsv").write_text("a\tb\nno\tx\n")
    data = open_task('reader: tsv, path: "shards/{split}-*[0].tsv"', text="a", answer="b")
    said = [f"{number}.{row}" for number in (1, 2, 10) for row in range(number)]
    assert [row.columns["a"] for row in data] == said
    assert [row.where for row in data.rows([12, 0, 1])] == [
        "shards/train-10[0].tsv:10",
        "shards/train-01[0].tsv:1",
        "shards/train-02[0].tsv:1",
    ]
    with pytest.raises(IndexError):
        data[13]


def test_a_pattern_that_nothing_matches(tmp_path: Path, open_task: Callable) -> None:
    with pytest.raises(UserError, match=r"data.path: no file matches '.*/train-\*.tsv'"):
        open_task('reader: tsv, path: "{split}-*.tsv"', text="a", answer="b")


def test_languages_have_the_names_of_the_files(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.tsv").write_text("lang\ta\tb\ndeu\tx\ty\neng\tz\tw\n")
    names = "languages: [en, de], language_names: {en: eng, de: deu}"
    data = open_task(
        f'reader: tsv, path: "{{split}}.tsv", language_column: lang, {names}', a="a", answer="b"
    )
    assert [row.language for row in data] == ["de", "en"]
    assert {tag: list(rows) for tag, rows in data.by_language().items()} == {"de": [0], "en": [1]}
    for name in ("eng", "deu"):
        (tmp_path / f"train_{name}.tsv").write_text(f"a\tb\n{name}\ty\n")
    data = open_task(f'reader: tsv, path: "{{split}}_{{language}}.tsv", {names}', a="a", answer="b")
    assert [(row.language, row.columns["a"]) for row in data] == [("en", "eng"), ("de", "deu")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("reader: jsonl, path: a, columns: [a]", "data.columns: has no effect with the reader 'js"),
        ("reader: ofa_tsv, path: a", "data.columns: is missing for the reader 'ofa_tsv'"),
        ("reader: tsv, path: a, columns: [a, b, a]", "data.columns: 'a' is listed 2 times"),
        ("reader: tsv, path: a, take: 3", "data.take: has no effect with the reader 'tsv'"),
        ("reader: tsv, path: a, config: b", "data.config: has no effect with the reader 'tsv'"),
        ("reader: hub, path: a/b, streaming: true", "data.take: is missing; expected how many"),
        ("reader: hub, path: a/*", "data.path: found 'a/*'; expected one id"),
        ("reader: cc3m, path: a", "data.images: is missing for the reader 'cc3m'"),
        ("reader: webdataset, path: a, images: b", "data.images: has no effect with the reader 'w"),
        ("reader: tsv, path: a, language_names: {nb: b}", "language_names.nb: is not among data.l"),
        ("reader: tsv, path: a, language_names: {en: x, de: x}", "names: 'x' is listed 2 times"),
        ("reader: tsv, path: ../a", "data.path: '../a' leaves the data root"),
        ("reader: tsv, path: '/a/*'", "data.path: '/a/*' leaves the data root"),
        ("reader: moses, path: a", "data.path: moses reads several files; expected `files`: sour"),
        ("reader: moses, files: {source: a}", "data.files.target: is missing"),
    ],
)
def test_a_key_that_a_reader_does_not_know(open_task: Callable, data: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        open_task(f"{data}, splits: {{train: train}}", text="a", answer="b")
    assert says in "\n".join(str(each) for each in getattr(error.value, "all", [error.value]))


@pytest.mark.parametrize(
    ("column", "message"),
    [("'a{{x}}'", None), ("'a{x'", "the brace '{'"), ("'a{{y}}'", "gives no column 'a{y}'")],
)
def test_names_of_columns_may_hold_braces(tmp_path: Path, column: str, message: str | None) -> None:
    """A spec writes them twice, as in all templates."""
    path = tmp_path / "task.yaml"
    path.write_text(
        "task: t\nversion: 1\nabout: Say.\n"
        "data: {reader: ofa_tsv, path: a.tsv, splits: {train: train}, languages: [en], "
        'columns: ["a{x}", b]}\n'
        f"fields: {{a: {{kind: text, column: {column}}}, b: {{kind: text, column: b}}}}\n"
        'example: {source: "{a}", target: "{b}"}\n'
        "score: [{metric: chrf, against: b, primary: true}]\n",
        encoding="utf-8",
    )
    if message is None:
        assert load_task(path).fields["a"].column_in("en") == "a{x}"
    else:
        with pytest.raises(UserError, match=re.escape(message)):
            load_task(path)
