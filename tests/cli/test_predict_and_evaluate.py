"""unified_vl/cli/evaluation/evaluate.py, predict.py and report.py on a saved model."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from unified_vl.cli.answering.fields import parse_fields
from unified_vl.cli.answering.predict import predict
from unified_vl.cli.evaluation.evaluate import evaluate
from unified_vl.cli.evaluation.report import report
from unified_vl.errors import UserError
from unified_vl.inference.prediction import FLAGS, Prediction
from unified_vl.inference.predictor import UnifiedVL

app = typer.Typer()
app.command()(evaluate)
app.command()(report)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(predict)


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


def test_predict_prints_the_answer(tiny, model_directory: Path) -> None:
    image = tiny.data / "images/1.png"
    expected = UnifiedVL(tiny.saved).predict("tiny_caption", "de", image=image)
    asked = ("predict", model_directory, "--task", "tiny_caption", "--image", image)
    result = call(*asked, "--language", "de")
    assert result.exit_code == 0
    assert result.stdout.strip() == expected.text
    row = json.loads(call(*asked, "--language", "de", "--json").stdout)
    assert list(row) == ["key", "prediction", "boxes", "score", "error", *FLAGS]
    assert row["prediction"] == expected.text


def test_predict_takes_any_field_of_the_task_and_prints_boxes(tiny, model_directory: Path) -> None:
    image = tiny.data / "images/1.png"
    spec = model_directory / "specs/tiny_ground.yaml"
    (box,) = UnifiedVL(tiny.saved).predict("tiny_ground", "en", image=image, phrase="a dog").boxes
    expected = " ".join(f"{v:.1f}" for v in box)
    for task in ("tiny_ground", spec):
        asked = ("predict", model_directory, "--task", task, "--image", image)
        assert call(*asked, "--language", "en", "--phrase", "a dog").stdout.strip() == expected
    with pytest.raises(UserError, match=r"--phrsae: is no option.*did you mean '--phrase'"):
        call(*asked, "--language", "en", "--phrsae", "a dog")


def test_an_empty_answer_is_said(
    tiny, model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnifiedVL, "predict", lambda *_, **__: Prediction(None, "", -1.0))
    result = call("predict", model_directory, "--task", "tiny_copy", "--text", "a")
    assert (result.stdout, result.stderr) == ("", "note: the answer is empty\n")


def test_predict_gives_several_answers_with_their_scores(tiny, model_directory: Path) -> None:
    asked = ("predict", model_directory, "--task", "tiny_copy", "--text", "a red cat", "--n", 3)
    expected = UnifiedVL(tiny.saved).predict("tiny_copy", text="a red cat", n=3)
    lines = [f"{a.score:.4f}\t{a.text}" for a in expected.alternatives]
    assert len(lines) == 3
    assert call(*asked, "--scores").stdout.splitlines() == lines
    assert call(*asked).stdout.splitlines() == [a.text for a in expected.alternatives]
    row = json.loads(call(*asked, "--json").stdout)
    assert [a["prediction"] for a in row["alternatives"]] == [a.text for a in expected.alternatives]


def test_predict_draws_the_boxes_on_the_picture(tiny, model_directory: Path, picture) -> None:
    image, drawn = model_directory.parent / "large.png", model_directory.parent / "new/drawn.png"
    picture(1).resize((600, 300)).save(image)
    asked = ("predict", model_directory, "--image", image, "--language", "en", "--draw", drawn)
    result = call(*asked, "--task", "tiny_ground", "--phrase", "a dog")
    (x1, y1, x2, y2) = (round(float(v)) for v in result.stdout.split())
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (image, drawn))
    changed = (before != after).any(-1)
    assert changed[y1, x1:x2].all()
    assert changed[y1:y2, x2].all()
    assert not changed[y1 + 5 : y2 - 5, x1 + 5 : x2 - 5].any()
    changed[max(y1 - 5, 0) : y2 + 6, max(x1 - 5, 0) : x2 + 6] = False
    assert not changed.any()
    with pytest.raises(UserError, match="the task 'tiny_caption' has no shapes to draw"):
        call(*asked, "--task", "tiny_caption")
    with pytest.raises(UserError, match=r"expected a file ending in \.png, \.jpg"):
        call(*asked[:-1], drawn.with_suffix(".pgn"), "--task", "tiny_ground", "--phrase", "a")
    with pytest.raises(UserError, match="--draw needs an image"):
        call("predict", model_directory, "--task", "tiny_copy", "--text", "a", "--draw", drawn)


def test_predict_needs_a_task(model_directory: Path) -> None:
    with pytest.raises(UserError, match="--task is missing"):
        call("predict", model_directory, "--text", "a")


def test_predict_answers_a_file(model_directory: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_text('{"key": "a", "text": "yes"}\n{"key": "b"}\n')
    asked = ("predict", model_directory, "--task", "tiny_copy", "--input", rows)
    result = call(*asked, "--output", out)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "2 rows, 1 of them with an error" in result.stderr
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["key"], row["error"] is None) for row in answers] == [("a", True), ("b", False)]
    with pytest.raises(UserError, match="--output is missing"):
        call(*asked)
    with pytest.raises(UserError, match="together with --text"):
        call(*asked, "--output", out, "--text", "no")


UNSEEN = """
task: which
version: 1
about: A task that the model was never trained on.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {test: test}
  languages: [de, en]
  language_column: said
fields:
  image: {kind: image, column: file_name}
  hint: {kind: text, column: a_hint}
  label: {kind: text, column: label}
wording:
  ask: {de: "Was ist das?", default: "What is it?"}
example: {source: "SOURCE", target: "{label}"}
generate: {method: score_choices, choices: {values: [yes, no, a red cat]}, max_tokens: 12}
score: [{metric: accuracy, against: label, primary: true}]
"""


def test_a_spec_that_the_model_has_never_seen(tiny, model_directory: Path, tmp_path: Path) -> None:
    spec = tmp_path / "which.yaml"
    spec.write_text(UNSEEN.replace("SOURCE", "{image} {ask} {hint}"))
    image = tiny.data / "images/1.png"
    asked = ("predict", model_directory, "--task", spec)
    one = ("--image", image, "--hint", "a dog", "--language", "de", "--n", 3, "--json")
    alone = json.loads(call(*asked, *one).stdout)
    assert sorted(a["prediction"] for a in alone["alternatives"]) == ["a red cat", "no", "yes"]
    rows, out = tiny.data / "which.jsonl", tmp_path / "out.parquet"
    lines = [
        {"image": "images/1.png", "hint": "a dog", "language": "de"},
        {"file_name": "images/1.png", "hint": "a dog"},
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = call(*asked, "--input", rows, "--output", out, "--n", 3)
    rows.unlink()
    assert "2 rows, 1 of them with an error" in result.stderr
    good, bad = pq.read_table(out).to_pylist()
    assert good["alternatives"] == [
        a | {"score": pytest.approx(a["score"], abs=1e-5)} for a in alone["alternatives"]
    ]
    assert "no language is given" in bad["error"]


def test_a_spec_whose_tag_the_model_has_never_seen(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "which.yaml"
    spec.write_text(UNSEEN.replace("SOURCE", "{task} {image} {ask} {hint}"))
    image = tiny.data / "images/1.png"
    asked = ("predict", model_directory, "--task", spec, "--image", image, "--hint", "a")
    with pytest.raises(UserError, match="task:which"):
        call(*asked, "--language", "de")


def test_predict_asks_a_folder_in_every_language(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    pictures = tmp_path / "pictures"
    shutil.copytree(tiny.data / "images", pictures)
    (pictures / "drawing.svg").write_text("<svg/>")
    asked = ("predict", model_directory, "--input", pictures, "--output", out)
    result = call(*asked, "--task", "tiny_caption", "--language", "all")
    assert "1 image in other formats left out: drawing.svg" in result.stderr
    assert "9 rows, 0 of them with an error" in result.stderr
    with out.open(encoding="utf-8", newline="") as file:
        found = [(row["key"], row["language"]) for row in csv.DictReader(file)]
    assert found == [(f"{n}.png", language) for n in range(3) for language in ("en", "de", "fa")]
    call(*asked, "--task", "tiny_caption", "--language", "fa, en")
    with out.open(encoding="utf-8", newline="") as file:
        assert [row["language"] for row in csv.DictReader(file)] == ["fa", "en"] * 3
    with pytest.raises(UserError, match="--language all needs a task"):
        call(*asked, "--language", "all")


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "yes"}\n' * 40)
    asked = ("predict", model_directory, "--task", "tiny_copy", "--input", rows)
    asked += ("--output", tmp_path / "out.jsonl", "--batch-size", 1)
    lines = call(*asked).stderr.splitlines()
    assert lines[:5] == [f"{n} of 40 rows done" for n in (8, 16, 24, 32, 40)]
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    said = call(*asked).stderr
    assert "━" in said and "40/40" in said
    assert "rows done" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["word"], "found 'word'"),
        (["--text"], "--text has no value"),
        (["--text", "a", "--text=b"], "given twice"),
        (["--", "a"], "found '--'"),
    ],
)
def test_arguments_that_are_no_fields(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_fields(arguments)


@pytest.mark.parametrize(
    ("argument", "close"),
    [("--beems", "--beams"), ("--max-token", "--max-tokens"), ("--texd", "--text"), ("--zzz", "")],
)
def test_an_option_that_is_none_has_its_nearest_name(
    model_directory: Path, argument: str, close: str
) -> None:
    with pytest.raises(
        UserError, match=f"^command line: {argument}: is no option, and no "
    ) as error:
        call("predict", model_directory, "--task", "tiny_copy", "--language", "en", argument, "4")
    told = str(error.value)
    assert told.endswith(f"; did you mean {close!r}?") == bool(close), told


def test_arguments_that_are_fields() -> None:
    given = ["--text", "a = b", "--from-language=de", "--empty=", "--number", "-1"]
    assert parse_fields(given) == {
        "text": "a = b",
        "from_language": "de",
        "empty": "",
        "number": "-1",
    }


def test_evaluate_writes_a_report_and_every_answer(
    tiny, model_directory: Path, tmp_path: Path
) -> None:
    files = ("--output", tmp_path / "r/report.json", "--predictions", tmp_path / "p.jsonl")
    result = call("evaluate", model_directory, "--data", tiny.data, "--json", *files)
    assert result.exit_code == 0
    written = json.loads((tmp_path / "r/report.json").read_text())
    assert json.loads(result.stdout) == written
    tasks = written["tasks"]
    assert {name: task["count"] for name, task in tasks.items()} == {
        "tiny_caption": 9,
        "tiny_copy": 1,
        "tiny_ground": 9,
    }
    assert tasks["tiny_caption"]["skipped"] == 1
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert len(rows) == 19
    for task in tasks.values():
        assert all(0 <= value <= 100 for value in task["metrics"].values())


def test_evaluate_prints_a_table_of_the_tasks_asked_for(tiny, model_directory: Path) -> None:
    spec = model_directory / "specs/tiny_ground.yaml"
    result = call("evaluate", model_directory, "tiny_copy", spec, "--data", tiny.data)
    for text in ("tiny_copy", "accuracy", "tiny_ground", "box_accuracy"):
        assert text in result.stdout
    assert "tiny_caption" not in result.stdout
    with pytest.raises(UserError, match="did you mean 'tiny_copy'"):
        call("evaluate", model_directory, "tinycopy", "--data", tiny.data)
    assert call("evaluate", model_directory, "--data", "x", "--split", "dev").exit_code == 2


def test_report_makes_the_page_of_a_run_again(tiny, model_directory: Path) -> None:
    run = model_directory.parent
    files = ("--output", run / "report.json", "--predictions", run / "predictions.jsonl")
    call("evaluate", model_directory, "--data", tiny.data, *files)
    result = call("report", run, "--data", tiny.data)
    assert result.stdout.strip() == str(run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "tiny caption" in page
    weights = sum(p.numel() for p in tiny.saved.model.parameters())
    assert f"{weights:,}" in page
