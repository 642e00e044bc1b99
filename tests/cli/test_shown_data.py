"""What is shown is data: control characters do nothing to a terminal, and texts nothing to a
spreadsheet or a page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from unified_vl.cli.main import app
from unified_vl.errors import UserError, visible
from unified_vl.evaluation.reporting.charts import Curve, draw_curve
from unified_vl.inference.answers import answer_format, no_formula
from unified_vl.inference.prediction import Prediction

RED = "\x1b[31mred\x1b[0m"
SEEN = "\\u001b[31mred\\u001b[0m"


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (RED, SEEN),
        ("a\rb\x07\x7f", "a\\u000db\\u0007\\u007f"),
        ("\x9b31mC1", "\\u009b31mC1"),
        ("abc\u202edef", "abc\\u202edef"),
        ("two\nlines\tand گربه 鍵", "two\nlines\tand گربه 鍵"),
    ],
)
def test_control_characters_are_written_out(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1 dog", "'+1 dog"),
        ("-a", "'-a"),
        ("@name", "'@name"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-3", "-3"),
        ("+2.5e3", "+2.5e3"),
        ("a=b", "a=b"),
        ("", ""),
        (None, None),
        (-1.5, -1.5),
    ],
)
def test_no_cell_is_a_formula(cell: object, written: object) -> None:
    assert no_formula(cell) == written


@pytest.mark.parametrize("raw", [False, True])
def test_csv_holds_no_formula_unless_it_is_asked_for(tmp_path: Path, raw: bool) -> None:
    row = Prediction("@k", "=1+1", -2.5).as_row()
    gathered, out = tmp_path / "rows", tmp_path / "out.csv"
    gathered.write_text(json.dumps(row) + "\n")
    write = answer_format(out, raw=raw).write
    assert write is not None
    write(gathered, out)
    with out.open(newline="") as file:
        (found,) = csv.DictReader(file)
    expected = ("@k", "=1+1") if raw else ("'@k", "'=1+1")
    assert (found["key"], found["prediction"], found["score"]) == (*expected, "-2.5")


def test_show_and_check_write_control_characters_out(tiny, tmp_path: Path) -> None:
    spec = tmp_path / "tiny_copy.yaml"
    spec.write_text(tiny.specs["tiny_copy"].text)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/test.jsonl").write_text(json.dumps({"text": RED}) + "\n")
    asked = ("show", spec, "--data", tmp_path, "--split", "test")
    shown = call(*asked).stdout
    assert SEEN in shown and "\x1b" not in shown
    assert RED in call(*asked, "--raw").stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text(spec.read_text().replace("task: tiny_copy", f'task: "{SEEN}"'))
    assert "\x1b" not in call("check", bad).stdout


def test_predict_writes_control_characters_out(tiny, model_directory: Path, monkeypatch) -> None:
    from unified_vl.inference.predictor import UnifiedVL

    monkeypatch.setattr(UnifiedVL, "predict", lambda *_, **__: Prediction(None, RED, -1.0))
    asked = ("predict", model_directory, "--task", "tiny_copy", "--text", "a")
    assert call(*asked).stdout == f"{SEEN}\n"
    assert call(*asked, "--raw").stdout == f"{RED}\n"
    assert json.loads(call(*asked, "--json").stdout)["prediction"] == RED


def test_the_name_of_a_task_is_no_markup_in_a_curve() -> None:
    name = 'x" onload="y"><b>'
    svg = draw_curve(name, Curve(training=[(1, 2.0), (2, 1.0)]), 2)
    assert "onload=&#34;" in svg and "<b>" not in svg


def test_a_folder_as_an_image_is_told_what_to_use(tiny, model_directory: Path) -> None:
    asked = ("predict", model_directory, "--task", "tiny_caption", "--language", "de")
    with pytest.raises(UserError, match=r"is a folder; expected .*--input"):
        call(*asked, "--image", tiny.data / "images")


def test_a_file_of_which_no_row_is_answered_fails_with_the_reason(
    model_directory: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": ""}\n' * 2)
    asked = ("predict", model_directory, "--task", "tiny_copy", "--input", rows)
    with pytest.raises(UserError, match=r"no row could be answered; the first: .*is empty"):
        call(*asked, "--output", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").is_file()


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--predictions", "x.csv", "JSON lines; expected a file ending in .jsonl"),
        ("--predictions", "file/x.jsonl", "cannot be written"),
        ("--output", "file/x.json", "cannot be written"),
        ("--output", "folder", "cannot be written"),
    ],
)
def test_evaluate_finds_an_output_that_cannot_be_written_at_once(
    tmp_path: Path, option: str, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=said):  # before it looks for the model
        call("evaluate", "no_model", "--data", tmp_path, option, tmp_path / name)
