"""Perturbed rows beside clean ones: scores, intervals, the report, the page and the command."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.perturbation.conftest import OPTIONS, Rows
from tests.perturbation.conftest import rows as rows  # a fixture
from unified_vl.cli.main import app
from unified_vl.codecs.segments import Text
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import Evaluation, read_report, write_results
from unified_vl.evaluation.rows import read_rows, rows_path
from unified_vl.geometry import Box
from unified_vl.metrics.intervals import differences, ends
from unified_vl.other_models.answers_file import AnswersFile


def german_is_hard(example: Example) -> Any:
    """Answers rightly unless a German row is perturbed."""
    if not example.perturbed or example.language != "de":
        return None
    return Box(0.9, 0.9, 1, 1) if isinstance(example.target[0], Box) else Text("?")


@pytest.fixture(scope="module")
def made(world, oracle_class) -> Evaluation:  # type: ignore[no-untyped-def]
    asked = ["gaussian_noise", "swapped_letters:2", "casing", "priors", "choices"]
    return world.evaluate(oracle_class(german_is_hard), perturb=asked, resamples=100)


def test_clean_scores_are_those_without(world, oracle, made: Evaluation) -> None:
    plain = world.evaluate(oracle(), resamples=100)
    for name, task in plain.report["tasks"].items():
        assert {key: made.report["tasks"][name][key] for key in task if key != "seconds"} == {
            key: value for key, value in task.items() if key != "seconds"
        }
    assert plain.report.keys() & {"suites", "perturbation"} == set()
    assert [row["prediction"] for row in made.predictions] == [
        row["prediction"] for row in plain.predictions
    ]


def test_differences_are_of_the_same_rows_by_severity_and_language(made: Evaluation) -> None:
    task = made.report["tasks"]["caption"]
    noise = task["perturbed"]["gaussian_noise"]
    assert list(noise["severities"]) == ["1", "2", "3", "4", "5"] and not noise["probe"]
    for cell in noise["severities"].values():
        assert cell["count"] == task["count"]
        assert cell["difference"]["exact_match"] == -25
        by = cell["by"]["language"]
        assert by["de"]["difference"] == -100 and by["de"]["interval"] == [-100, -100]
        assert by["en"]["difference"] == 0 and by["en"]["interval"] == [0, 0]
        assert by["de"]["clean"] == 100 and by["de"]["score"] == 0
        low, high = cell["intervals"]["exact_match"]
        assert low < -25 < high <= 0
        assert cell["by"]["cell"]["held_out"]["difference"] == 0
    typos = made.report["tasks"]["ground"]["perturbed"]["swapped_letters"]["severities"]
    assert list(typos) == ["2"]
    (cell,) = typos.values()
    assert cell["by"]["language"]["de"]["difference"] == -100


def test_rows_that_nothing_changes_do_not_count(made: Evaluation) -> None:
    """Persian and Japanese have no capitals; lower case is all that English names have."""
    casing = made.report["tasks"]["ground"]["perturbed"]
    assert set(casing["upper_case"]["severities"]["5"]["by"]["language"]) == {"en", "de"}
    assert casing["upper_case"]["severities"]["5"]["count"] == 12
    assert set(casing["lower_case"]["severities"]["1"]["by"]["language"]) == {"de"}


def test_what_a_task_lacks_is_said_once(made: Evaluation) -> None:
    from unified_vl.evaluation.scoring import notes_of

    lacking = made.report["tasks"]["translate"]["not_perturbed"]
    assert lacking["it reads no image"] == ["gaussian_noise", "blank_image"]
    notes = list(notes_of(made.report))
    assert "translate is scored without gaussian_noise, blank_image: it reads no image" in notes
    assert len(notes) == len(set(notes))
    assert made.report["tasks"]["caption"]["not_perturbed"]["it is asked by no text of a row"]


def test_suites_are_means_with_intervals(made: Evaluation) -> None:
    task = made.report["tasks"]["ground"]
    cells = [
        cell["difference"][task["primary"]]
        for name in ("lower_case", "upper_case", "mixed_case")
        for cell in task["perturbed"][name]["severities"].values()
    ]
    suite = task["suites"]["casing"]
    assert suite["cells"] == len(cells) == 11
    assert suite["difference"] == pytest.approx(np.mean(cells), abs=1e-3)
    assert suite["interval"][0] <= suite["difference"] <= suite["interval"][1]
    assert suite["by"]["language"]["de"]["difference"] == -100
    both = made.report["suites"]["casing"]
    assert both["tasks"] == ["ground", "translate"]
    of_tasks = [
        made.report["tasks"][name]["suites"]["casing"]["difference"] for name in both["tasks"]
    ]
    assert both["difference"] == pytest.approx(np.mean(of_tasks), abs=1e-3)
    assert both["interval"][0] < both["difference"] < both["interval"][1]


def test_the_mean_of_pairs_is_resampled_together(made: Evaluation) -> None:
    measured = made.rows["ground upper_case:5"].measured["box_accuracy:box@0.9"]
    clean = made.rows["ground"].measured["box_accuracy:box@0.9"]
    drawn_R = differences([(clean, measured)] * 2, 200)
    assert np.array_equal(drawn_R, differences([(clean, measured)], 200), equal_nan=True)
    assert not np.array_equal(drawn_R, differences([(clean, measured)], 200, seed=1))
    low, high = ends(drawn_R)
    assert -100 <= low < high <= 0


def test_shuffled_choices_and_reversed_answers_are_scored(rows: Rows, oracle) -> None:  # type: ignore[no-untyped-def]
    """A model that always says the first choice has the prior of training."""

    def first(example: Example) -> Text:
        return Text("A")

    found = evaluate(
        oracle(first), [rows.spec], "test", rows.root, perturb=["choices", "shift"], resamples=50
    )
    task = found.report["tasks"]["choose"]
    (clean,) = task["metrics"].values()
    assert clean == pytest.approx(100 * 4 / 6, abs=1e-3)
    shuffled = task["perturbed"]["shuffled_choices"]["severities"]["1"]
    assert shuffled["difference"]["accuracy"] < 0
    shift = task["perturbed"]["answer_shift"]["severities"]
    falls = [cell["difference"]["accuracy"] for cell in shift.values()]
    assert falls == sorted(falls, reverse=True) and falls[0] < 0
    # of 12 training rows 8 say A, 2 B and 2 C: reversed, A has a sixth
    assert shift["5"]["metrics"]["accuracy"] == pytest.approx(100 / 6, abs=1e-3)
    assert OPTIONS["en"][0] == "a cat"


def test_without_training_rows_all_else_is_scored(rows: Rows, oracle, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(rows.root, tmp_path / "data")
    (tmp_path / "data/train.jsonl").unlink()
    data = tmp_path / "data"
    found = evaluate(oracle(), [rows.spec], "test", data, perturb=["choices", "shift"], resamples=0)
    task = found.report["tasks"]["choose"]
    assert task["suites"]["choices"]["difference"] == 0 and "shift" not in task["suites"]
    ((why, names),) = task["not_perturbed"].items()
    assert names == ["answer_shift"] and why.startswith("its training rows cannot be read: ")
    assert "train.jsonl" in why


def test_files_and_the_page_have_it(world, made: Evaluation, run_directory: Path) -> None:
    write_results(made, run_directory / "report.json", run_directory / "predictions.jsonl")
    assert read_report(run_directory / "report.json")["suites"] == made.report["suites"]
    kept = read_rows(rows_path(run_directory / "report.json"))
    assert "ground upper_case:5" in kept and "caption" in kept
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert "What perturbed inputs do" in page and "swapped letters" in page
    assert "it reads no image" in page


def test_a_file_of_answers_is_refused(world, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "0-en", "prediction": "cat"}\n')
    with pytest.raises(UserError, match=r"^--perturb: has no effect on a file of answers"):
        world.evaluate(AnswersFile(path), perturb=["typos"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [("tpyos", "did you mean 'typos'?"), ("fog:9", "expected fog:1 to fog:5")],
)
def test_the_command_refuses_unknown_names_before_it_opens_a_model(asked: str, said: str) -> None:
    found = CliRunner().invoke(app, ["evaluate", "nowhere", "--data", ".", "--perturb", asked])
    assert found.exit_code == 2 or isinstance(found.exception, UserError)
    assert said in (str(found.exception) + found.output)


def test_the_printed_table_has_suites_and_severities(made: Evaluation) -> None:
    from rich.console import Console

    from unified_vl.cli.evaluation.perturbed import fitting_table

    for width in (60, 100, 200):
        console = Console(width=width, record=True, file=StringIO())
        console.print(fitting_table(json.loads(json.dumps(made.report)), console))
        text = console.export_text()
        assert "ground" in text and "casing" in text and "change" in text


def test_two_models_are_compared_on_the_same_perturbed_rows(
    world, oracle, made: Evaluation, tmp_path: Path
) -> None:
    right = world.evaluate(oracle(), perturb=["casing", "gaussian_noise:5"], resamples=50)
    write_results(made, tmp_path / "a.json", None)
    write_results(right, tmp_path / "b.json", None)
    found = compare_reports(tmp_path / "a.json", tmp_path / "b.json", 100)
    suites = found["tasks"]["ground"]["suites"]
    assert list(suites) == ["images", "casing"]
    assert suites["images"]["cells"] == 1 and suites["images"]["difference"] == 25
    assert suites["images"]["a"] == 75 and suites["images"]["b"] == 100
    low, high = suites["images"]["interval"]
    assert 0 < low < 25 < high
    assert suites["casing"]["cells"] == 11
    shown = CliRunner().invoke(
        app,
        ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--resamples", "100"],
        env={"COLUMNS": "140"},
    )
    assert shown.exit_code == 0 and "perturbed: casing" in shown.output
    other = world.evaluate(oracle(), perturb=["casing"], resamples=0, perturb_seed=1)
    write_results(other, tmp_path / "c.json", None)
    with pytest.raises(UserError, match="perturbed by the seed 1"):
        compare_reports(tmp_path / "a.json", tmp_path / "c.json", 100)
