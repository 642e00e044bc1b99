"""unified_vl/other_models/answers_file.py: answers of anybody, scored as those of own models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from unified_vl.cli.answering.predict import predict
from unified_vl.cli.evaluation.compare import compare
from unified_vl.cli.evaluation.evaluate import evaluate
from unified_vl.errors import UserError

app = typer.Typer()
app.command()(evaluate)
app.command()(compare)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(predict)
SPEC = """
task: things
version: 1
about: Say what is there.
data:
  reader: jsonl
  path: "things.jsonl"
  splits: {test: test}
  languages: [en, de]
  language_column: language
  key_column: key
fields:
  text: {kind: text, column: text}
  answer: {kind: text, column: answer}
example: {source: "{text}", target: "{answer}"}
generate: {method: constrained, choices: {values: ["yes", "no"]}}
score: [{metric: accuracy, against: answer, primary: true}]
"""
ROWS = [("a", "en", "yes"), ("a", "de", "no"), ("b", "en", "no"), ("c", "de", "yes")]
RIGHT = [{"key": key, "language": tag, "prediction": answer} for key, tag, answer in ROWS]


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def scored(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Scores rows of answers by `SPEC`."""
    lines = [{"key": k, "language": tag, "text": "?", "answer": a} for k, tag, a in ROWS]
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "things.yaml").write_text(SPEC)

    def score(rows: list[Any], *options: object) -> dict[str, Any]:
        answers = tmp_path / "answers.jsonl"
        answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
        asked = ("evaluate", answers, tmp_path / "things.yaml", "--data", tmp_path, *options)
        return json.loads(call(*asked, "--json").stdout)

    return score


def test_predictions_of_evaluate_score_as_the_model_did(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    own, again = tmp_path / "own/report.json", tmp_path / "again/report.json"
    said = tmp_path / "own/predictions.jsonl"
    asked = ("evaluate", model_directory, "--data", tiny.data)
    call(*asked, "--output", own, "--predictions", said)
    specs = model_directory / "specs"
    result = call("evaluate", said, specs, "--data", tiny.data, "--output", again)
    first, second = (json.loads(path.read_text()) for path in (own, again))
    answered_by = {"kind": "answers", "file": str(said), "places": "pixels"}
    assert second["answered_by"] == answered_by
    for task, found in first["tasks"].items():
        for part in ("count", "skipped", "metrics", "intervals", "by", "flags"):
            assert second["tasks"][task][part] == found[part], (task, part)
    by_option = call("evaluate", "--predictions", said, "--spec", specs, "--data", tiny.data)
    assert by_option.stdout == result.stdout
    compared = json.loads(call("compare", own, again, "--json").stdout)
    assert all(
        metric["difference"] == 0 and metric["better"] is None
        for task in compared["tasks"].values()
        for metric in task["metrics"].values()
    )


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_predict_writes_can_be_scored(
    tiny, model_directory: Path, tmp_path: Path, ending: str
) -> None:
    """Boxes come as numbers in pixels, in every format."""
    spec = model_directory / "specs/tiny_ground.yaml"
    rows = tiny.data / "rows.jsonl"
    lines = [json.loads(line) for line in (tiny.data / "ground/test.jsonl").open()]
    named = [row | {"key": f"ground/test.jsonl:{n}"} for n, row in enumerate(lines, 1)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in named))
    out = tmp_path / f"out.{ending}"
    call("predict", model_directory, "--task", spec, "--input", rows, "--output", out)
    rows.unlink()
    asked = ("evaluate", "--data", tiny.data, "--json", "--spec", spec, "--model")
    own, others = (json.loads(call(*asked, who).stdout) for who in (model_directory, out))
    assert others["tasks"]["tiny_ground"]["metrics"] == own["tasks"]["tiny_ground"]["metrics"]


def test_answers_are_parsed_and_failures_counted(scored, tmp_path: Path) -> None:
    said = ["Yes.", "I cannot say", "No, it is not.", ""]
    rows = [row | {"prediction": text} for row, text in zip(RIGHT, said, strict=True)]
    rows[3] = {"key": "c", "language": "DE", "error": "too large"}
    report = scored(rows)["tasks"]["things"]
    assert report["metrics"] == {"accuracy": 50.0}
    assert report["failed"] == 2
    assert report["failed_by"] == {"language": {"de": 2}}


def test_rows_without_an_answer_count_as_wrong_where_that_is_asked_for(scored) -> None:
    rows = [*RIGHT[:3], {"key": "z", "prediction": "yes"}]
    report = scored(rows, "--partial")["tasks"]["things"]
    assert (report["metrics"], report["count"], report["failed"]) == ({"accuracy": 75.0}, 4, 1)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (RIGHT[:2], r"task 'things' 2 rows have no answer \('b'\); expected .*--partial"),
        ([*RIGHT, RIGHT[2]], r"1 key has several answers \('b'\); expected one answer for each"),
        (
            [*RIGHT[1:], {"key": "z", "prediction": "no"}, {"key": "y", "prediction": "no"}],
            r"1 row has no answer \('a'\), 2 answers are of no row \('z'\)",
        ),
        ([{"key": "a", "prediction": "no"}], r"answers.jsonl:1: language: the key 'a' is of rows"),
        ([{"prediction": "no"}], r"answers.jsonl:1: key: is missing; expected the key of the row"),
        ([[]], r"answers.jsonl:1"),
    ],
)
def test_answers_that_do_not_fit_the_rows(scored, rows: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        scored(rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), r"MODEL: nobody is named who answers; expected a saved model's directory"),
        (("none.jsonl",), "--spec: no task is named"),
        (("none.jsonl", "no.yaml"), "no.yaml: there is no such file; expected a task spec"),
        (("none.jsonl", "things.yaml"), "none.jsonl: the input file is missing"),
        (("none.jsonl", "things.yaml", "--places", "pixel"), "did you mean 'pixels'"),
        (("none.jsonl", "things.yaml", "--beams", "4"), "--beams: has no effect on a file"),
        (("model", "--partial"), "--partial: has no effect on a model of this project"),
    ],
)
def test_arguments_that_do_not_fit(
    scored, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        call("evaluate", *arguments, "--data", tmp_path)


def test_one_key_of_several_rows_goes_in_order(scored, tmp_path: Path) -> None:
    path = tmp_path / "things.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[2].replace('"no"', '"yes"')]) + "\n")
    again = {"key": "b", "language": "en", "prediction": "yes"}
    assert scored([*RIGHT, again])["tasks"]["things"]["metrics"] == {"accuracy": 100.0}
