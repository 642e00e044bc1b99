"""A metric from outside the package: registered, and then known wherever metrics are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from unified_vl import Answers, Metric, load_mixture, register_metric
from unified_vl.authoring.reference import pages
from unified_vl.cli.main import app
from unified_vl.codecs.segments import Text
from unified_vl.data.example import Example
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import write_results
from unified_vl.metrics import registry
from unified_vl.metrics.metric import plain_mean
from unified_vl.metrics.statistics import Floats, per_row
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.schema import json_schemas
from unified_vl.training.record.best import Best
from unified_vl.training.schedules.registry import lower_is_better, make_schedule

PRIMARY = "{metric: exact_match, against: caption, primary: true}"
OWN = "{metric: extra_letters, against: caption, primary: true}"


def extra_letters(answers: Answers) -> Floats:
    pairs = zip(answers.predictions, answers.references, strict=True)
    return per_row([max(len(found) - len(right[0]), 0) for found, right in pairs])


TOY = Metric(
    name="extra_letters",
    label="Letters too many",
    about="mean number of letters beyond those of the reference",
    kinds=("text",),
    unit="letters",
    bounds=(0.0, float("inf")),
    higher_is_better=False,
    rows=extra_letters,
    finish=plain_mean,
    right=lambda answer, references, *_: len(answer) <= len(references[0]),
)


@pytest.fixture
def toy() -> Iterator[Metric]:
    register_metric(TOY)
    yield TOY
    registry._known().pop(TOY.name)


@pytest.fixture
def spec_file(world, tmp_path: Path) -> Path:
    text = (world.data.parent / "caption.yaml").read_text(encoding="utf-8")
    assert PRIMARY in text
    path = tmp_path / "caption.yaml"
    path.write_text(text.replace(PRIMARY, OWN), encoding="utf-8")
    return path


def test_a_metric_from_outside_is_scored_reported_and_compared(
    toy: Metric, spec_file: Path, world, oracle, tmp_path: Path
) -> None:
    checked = CliRunner().invoke(app, ["check", str(spec_file), "--data", str(world.data)])
    assert checked.exit_code == 0, checked.output
    assert CliRunner().invoke(app, ["check", str(spec_file)]).exit_code == 0
    spec = load_task(spec_file)

    def longer(example: Example) -> Any:
        return Text(example.target[0].text + "!!") if example.language == "de" else None

    paths = (tmp_path / "a/report.json", tmp_path / "b/report.json")
    for path, wrong in zip(paths, (longer, lambda example: None), strict=True):
        found = evaluate(oracle(wrong), [spec], "test", world.data, model_name="m")
        write_results(found, path, path.with_name("predictions.jsonl"))
    task = json.loads(paths[0].read_text())["tasks"]["caption"]
    assert task["primary"] == "extra_letters"
    assert task["metrics"]["extra_letters"] == pytest.approx(0.5)  # 2 in one language of four
    assert task["by"]["language"]["de"]["extra_letters"] == 2
    low, high = task["intervals"]["extra_letters"]
    assert 0 < low < 0.5 < high
    lines = (tmp_path / "a/predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["correct"] for line in lines].count(False) == 6

    page = write_report(tmp_path / "a", world.data).read_text(encoding="utf-8")
    assert "Letters too many in letters" in page

    difference = compare_reports(*paths)["tasks"]["caption"]["metrics"]["extra_letters"]
    assert (difference["difference"], difference["better"]) == (-0.5, "b")  # lower is better


def test_a_metric_from_outside_stands_in_the_docs_and_the_schema(toy: Metric) -> None:
    assert "| `extra_letters` | Letters too many |" in pages()["metrics.md"]
    assert "0 and more letters, **lower is better**" in pages()["metrics.md"]
    assert "`extra_letters`" in pages()["keys.md"]
    names = json_schemas()["task"]["$defs"]["ScoreSpec"]["properties"]["metric"]["enum"]
    assert "extra_letters" in names


def test_a_metric_from_outside_drives_stop_and_go(toy: Metric, spec_file: Path) -> None:
    mixture = spec_file.with_name("mixture.yaml")
    text = spec_file.read_text(encoding="utf-8")
    splits = "splits: {train: train, validation: dev, test: test}"
    spec_file.write_text(text.replace("splits: {test: test}", splits), encoding="utf-8")
    rule = "stop_and_go: {patience: 2, min_gain: 0.1}"
    mixture.write_text(
        "mixture: one\nversion: 1\ntasks: [{spec: caption.yaml}]\n"
        f"schedule: {{kind: round_robin, {rule}}}\n"
    )
    loaded = load_mixture(mixture)
    assert lower_is_better(loaded.specs) == {"caption"}
    schedule = make_schedule(loaded, {"caption": 8}, seed=0)
    schedule.next_update()
    assert [schedule.observe("caption", score) for score in (9.0, 6.0, 3.0)] == [None] * 3
    turned = [schedule.observe("caption", score) for score in (3.0, 3.0)]
    assert turned[1] is not None and turned[1].state == "STOP"

    best = Best(by_scores=True, lower_is_better=lower_is_better(loaded.specs))
    for step, score, is_best in ((1, 9.0, True), (2, 10.0, False), (3, 3.0, True)):
        best.scores(step, {"caption": score})
        assert best.checkpoint(step) is is_best


def test_a_name_is_given_once(toy: Metric) -> None:
    register_metric(TOY)  # the same again changes nothing
    with pytest.raises(ValueError, match="a metric 'extra_letters' already"):
        register_metric(Metric(name="extra_letters", about="another", rows=extra_letters))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "Extra letters", "rows": extra_letters}, "no name of a metric"),
        ({"name": "extra"}, "either rows or whole"),
        ({"name": "extra", "rows": extra_letters, "whole": lambda a: 0.0}, "either rows or whole"),
        ({"name": "extra", "rows": extra_letters, "options": frozenset({"io"})}, "options: io"),
    ],
)
def test_a_wrong_metric_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metric(about="wrong", **wrong)


PACKAGE = """
from unified_vl import Metric, register_metric
from unified_vl.metrics.metric import credit

register_metric(Metric(name="extra_letters", about="toy", rows=credit(len)))
"""


@pytest.mark.parametrize("words", [["check", "caption.yaml"], ["schema", "--markdown"]])
def test_the_command_line_knows_the_metrics_of_installed_packages(
    words: list[str], spec_file: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    (site / "toy-1.0.dist-info").mkdir(parents=True)
    (site / "toy_metrics.py").write_text(PACKAGE)
    (site / "toy-1.0.dist-info/METADATA").write_text("Name: toy\nVersion: 1.0\n")
    entry = "[unified_vl.plugins]\ntoy = toy_metrics\n"
    (site / "toy-1.0.dist-info/entry_points.txt").write_text(entry)
    places = os.pathsep.join([str(site), *sys.path])
    found = subprocess.run(
        [sys.executable, "-m", "unified_vl.cli.main", *words],
        env=os.environ | {"PYTHONPATH": places},
        cwd=spec_file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert ("all well" if words[0] == "check" else "| `extra_letters` |") in found.stdout
