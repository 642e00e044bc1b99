"""What the page tells of tasks that train together: conflicts, and specialists beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.evaluation.reporting.beside import beside, specialists
from unified_vl.evaluation.reporting.conflicts import conflicts
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import read_events


def gradients(step: int, cosine: float | None, layer: float = 0.5) -> dict[str, Any]:
    squares = {name: [[1.0, c], [c, 1.0]] for name, c in (("all", cosine), ("stem", layer))}
    norms = {"all": [2.0 / step, 1.0], "stem": [0.5, 0.5]}
    tasks = ["caption", "ground"]
    return {"event": "gradients", "step": step, "tasks": tasks, "norms": norms, "cosines": squares}


def write(run: Path, events: list[dict[str, Any]]) -> Path:
    run.mkdir(exist_ok=True)
    with (run / "events.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f"\n{json.dumps(event)}" for event in events)
    return run


def test_conflicts_are_a_matrix_curves_and_layers(run_directory: Path, world) -> None:
    assert "pull together" not in write_report(run_directory, world.data).read_text("utf-8")
    measured = [gradients(1, 0.2), gradients(51, -0.6, -0.25), gradients(101, None)]
    write(run_directory, [*measured, gradients(151, 0.1) | {"cosines": {"all": [[1.0]]}}])
    found = conflicts(read_events(run_directory / "events.jsonl"))
    assert found is not None and found["count"] == 3  # one is no square
    assert found["matrix"][0] == ("caption", [1.0, pytest.approx(-0.2)])
    assert found["layers"][0]["name"] == "stem"
    assert found["layers"][0]["worst"] == ("caption", "ground", pytest.approx(0.25))
    assert [curve["norms"] for curve in found["curves"]] == [(2.0, 2 / 101), (1.0, 1.0)]
    page = write_report(run_directory, world.data).read_text(encoding="utf-8")
    assert page.count('aria-label="Cosine of the gradient of') == 2
    assert 'class="against" style="--v: 0.200">-0.20<' in page


def specialist(folder: Path, tasks: tuple[str, ...] = ("caption",)) -> Path:
    events: list[dict[str, Any]] = []
    for updates in (2, 4, 30):
        for task in tasks:
            step = {"step": updates * len(tasks), "task": task}
            events.append({"event": "step", "loss": 4 / updates, "updates": updates} | step)
            events.append({"event": "validation", "loss": 8 / updates} | step)
            score = {"event": "score", "metric": "exact_match", "score": 10.0 * updates}
            events.append(score | {"updates": updates} | step)
    return write(folder, events)


@pytest.fixture
def together(run_directory: Path) -> Path:
    """The run of the fixture, with its updates."""
    path = run_directory / "events.jsonl"
    told = read_events(path)
    for event in told:
        if event["event"] == "step":
            event["updates"] = event["step"] // 10
    path.write_text("")
    return write(run_directory, told)


def test_a_task_is_beside_its_specialist_at_equal_updates(
    together: Path, tmp_path: Path, world
) -> None:
    alone = specialist(tmp_path / "alone")
    others = specialists(together, [alone])
    assert list(others) == ["caption"]
    (found,) = beside(read_events(together / "events.jsonl"), others)
    assert found["facts"] == [
        ("training loss", 10, 0.5, 1.0),  # step 100 is the tenth update; alone it had 4 by then
        ("validation loss", 10, 0.25, 2.0),
    ]
    run = ["report", str(together), "--data", str(world.data), "--beside", str(alone)]
    told = CliRunner().invoke(app, run, catch_exceptions=False)
    assert told.exit_code == 0
    page = (together / "report.html").read_text(encoding="utf-8")
    assert "Beside specialists" in page and "<b>0.25</b> here, 2 alone" in page


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["alon"], "alon: --beside: there is no such folder; .*did you mean 'alone'"),
        (
            ["empty"],
            r"empty: --beside: has no events\.jsonl with a step in it; expected the",
        ),
        (["run"], "run: --beside: this is the run itself"),
        (["others"], "others: --beside: has the tasks count, and this run caption, ground, trans"),
        (["alone", "both"], "both: --beside: the task 'caption' is in 'alone', too"),
    ],
)
def test_what_is_no_specialist_is_said(
    others: list[str], said: str, together: Path, tmp_path: Path, world
) -> None:
    specialist(tmp_path / "alone")
    specialist(tmp_path / "both", ("ground", "caption"))
    specialist(tmp_path / "others", ("count",))
    (tmp_path / "empty").mkdir()
    given = [part for name in others for part in ("--beside", str(tmp_path / name))]
    run = ["report", str(together), "--data", str(world.data), *given]
    with pytest.raises(Exception, match=said):
        CliRunner().invoke(app, run, catch_exceptions=False)
    assert not (together / "report.html").exists()
