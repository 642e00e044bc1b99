"""unified_vl/evaluation/comparison.py and rows.py: two reports, row by row."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from unified_vl.cli.evaluation.compare import fitting_table
from unified_vl.cli.main import app
from unified_vl.codecs.segments import Text
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.results import write_results
from unified_vl.evaluation.rows import read_rows, rows_path
from unified_vl.geometry import Box


def wrong_in(*languages: str):
    def wrong(example: Example) -> Any:
        if example.language not in languages:
            return None
        return Box(0.5, 0.5, 0.75, 0.75) if example.task == "ground" else Text("?")

    return wrong


@pytest.fixture
def reports(world, oracle, tmp_path: Path) -> tuple[Path, Path]:
    """A model that is wrong in two languages of four, and one that is wrong in one."""
    paths = (tmp_path / "a.json", tmp_path / "b.json")
    for path, languages in zip(paths, (("de", "fa"), ("de",)), strict=True):
        write_results(world.evaluate(oracle(wrong_in(*languages))), path, None)
    return paths


def test_a_report_tells_an_interval_of_every_score(world, oracle) -> None:
    report, _, rows, *_ = world.evaluate(oracle(wrong_in("de")))
    for name, task in report["tasks"].items():
        assert set(task["intervals"]) == set(task["metrics"])
        for metric, (low, high) in task["intervals"].items():
            assert 0 <= low <= task["metrics"][metric] <= high <= 100
        low, high = task["intervals"][task["primary"]]
        assert low < 75 < high
        assert len(rows[name].keys) == task["count"]
    assert world.evaluate(oracle(), resamples=0).report["tasks"]["caption"]["intervals"] == {}


def test_the_better_model_is_found(reports: tuple[Path, Path]) -> None:
    found = compare_reports(*reports)
    assert (found["a"], found["b"], found["resamples"]) == ("m", "m", 1000)
    assert set(found["tasks"]) == {"caption", "ground", "translate"}
    score = found["tasks"]["caption"]["metrics"]["exact_match"]
    assert (score["a"], score["b"], score["difference"]) == (50.0, 75.0, 25.0)
    low, high = score["interval"]
    assert 0 < low < 25 < high
    assert score["p"] < 0.05  # six rows of 24 changed, all for the better: 2 / 2 ** 6
    assert score["better"] == "b"
    back = compare_reports(*reversed(reports))["tasks"]["caption"]["metrics"]["exact_match"]
    assert (back["difference"], back["better"]) == (-25.0, "a")


def test_a_report_is_no_better_than_itself(reports: tuple[Path, Path]) -> None:
    for task in compare_reports(reports[0], reports[0])["tasks"].values():
        for score in task["metrics"].values():
            assert (score["difference"], score["p"], score["better"]) == (0.0, 1.0, None)


def test_rows_are_read_back_as_they_were(world, oracle, tmp_path: Path) -> None:
    evaluation = world.evaluate(oracle(wrong_in("fa")))
    write_results(evaluation, tmp_path / "r.json", None)
    assert rows_path(tmp_path / "r.json") == tmp_path / "r.rows.npz"
    for task, found in read_rows(tmp_path / "r.rows.npz").items():
        kept = evaluation.rows[task]
        assert (list(found.keys), list(found.references)) == (kept.keys, kept.references)
        for label, measured in kept.measured.items():
            np.testing.assert_array_equal(found.measured[label].values_NK, measured.values_NK)
            assert found.measured[label].score() == measured.score()


def edited(path: Path, **changes: Any) -> None:
    """Change one value of a report; keys are paths with dots as double underscores."""
    report = json.loads(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = report
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    path.write_text(json.dumps(report))


def spoilt(path: Path, task: int, field: str, value: str) -> None:
    with np.load(rows_path(path)) as arrays:
        held = dict(arrays)
    held[f"{task}.{field}"] = held[f"{task}.{field}"].copy()
    held[f"{task}.{field}"][2] = value
    np.savez(rows_path(path), **held)


BAD = [
    (lambda p: p.unlink(), "b.json: there is no report here"),
    (lambda p: p.write_text("{"), "b.json: this is not a report"),
    (lambda p: rows_path(p).unlink(), "b.rows.npz: the rows of this report are missing; expected"),
    (lambda p: rows_path(p).write_bytes(b"PK"), "b.rows.npz: these are not the rows of a report"),
    (lambda p: rows_path(p).write_bytes(b""), "b.rows.npz: these are not the rows of a report"),
    (
        lambda p: edited(p, tasks__caption__metrics__chrf=12.0),
        "b.rows.npz: caption: these are the rows of another report than '",
    ),
    (
        lambda p: edited(p, tasks__caption__split="validation"),
        "b.json: caption: it is scored on the split 'validation', and in '",
    ),
    (lambda p: spoilt(p, 0, "keys", "9-xx"), "b.json: caption: its row 3 is '9-xx', and in '"),
    (
        lambda p: spoilt(p, 0, "references", "0" * 16),
        "b.json: caption: the row '0-fa' has other right answers than in '",
    ),
    (lambda p: edited(p, tasks={}), "b.json: the reports have no task in common; expected 'capti"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_what_cannot_be_compared_is_said(
    reports: tuple[Path, Path], spoil: Any, message: str
) -> None:
    spoil(reports[1])
    with pytest.raises(UserError) as error:
        compare_reports(*reports)
    assert f"{reports[1].parent}/{message}" in str(error.value)


def test_other_numbers_of_rows_are_said(world, oracle, reports: tuple[Path, Path]) -> None:
    write_results(world.evaluate(oracle(), limit=7), reports[1], None)
    with pytest.raises(UserError, match=r"b\.json: caption: it has \d+ rows, and in '.*' 24; exp"):
        compare_reports(*reports)


def test_a_task_of_one_report_only_is_named(world, oracle, reports: tuple[Path, Path]) -> None:
    write_results(type(world)(world.data, world.specs[1:]).evaluate(oracle()), reports[1], None)
    found = compare_reports(*reports)
    assert (found["only_in_a"], found["only_in_b"]) == (["caption"], [])
    assert set(found["tasks"]) == {"ground", "translate"}


def test_nothing_in_a_file_of_rows_is_unpickled(reports: tuple[Path, Path]) -> None:
    with np.load(rows_path(reports[1])) as arrays:
        held = dict(arrays) | {"0.keys": np.asarray([print, print], dtype=object)}
    np.savez(rows_path(reports[1]), allow_pickle=True, **held)
    with pytest.raises(UserError, match=r"not the rows of a report: .*allow_pickle=False"):
        compare_reports(*reports)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(160, []), (80, ["p"]), (71, ["p", "better"]), (60, ["p", "better", "95 %"])],
)
def test_a_narrow_terminal_shows_whole_names_and_fewer_columns(
    reports: tuple[Path, Path], width: int, left_out: list[str]
) -> None:
    found = compare_reports(*reports, resamples=200)
    found["tasks"] = {"name_the_birds": found["tasks"]["caption"]}
    console = Console(width=width, record=True, file=io.StringIO())
    table, missing = fitting_table(found, console)
    console.print(table)
    assert missing == left_out
    lines = console.export_text().splitlines()
    (line,) = [each for each in lines if "name_the_birds" in each and "exact_match" in each]
    assert "+25.0" in line


def test_the_command_shows_a_table_or_json(reports: tuple[Path, Path]) -> None:
    runner = CliRunner()
    arguments = ["compare", *map(str, reports), "--resamples", "200"]
    shown = runner.invoke(app, arguments, env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    (line,) = [t for t in shown.output.splitlines() if "caption" in t and "exact_match" in t]
    for text in ("24", "50.0", "75.0", "+25.0", "B"):
        assert text in line
    narrow = runner.invoke(app, arguments, env={"COLUMNS": "80"}).output
    assert "…" not in narrow, "a name is folded, never cut"
    result = runner.invoke(app, [*arguments, "--json"])
    assert json.loads(result.output) == compare_reports(*reports, resamples=200)
