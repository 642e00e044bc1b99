"""A run that no longer gets better ends, is whole, and goes on when it is asked to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from unified_vl.errors import Stopped, UserError
from unified_vl.run_record import TIMED
from unified_vl.specs.load import load_run
from unified_vl.specs.runs.course import EarlyStoppingSpec
from unified_vl.training.course import between_steps
from unified_vl.training.course.early_stopping import EarlyStopping
from unified_vl.training.trainer import train

NEVER = "early_stopping={patience: 2, min_delta: 1000}"  # after the first, nothing is a gain


@pytest.mark.parametrize(
    ("keys", "values", "ends"),
    [
        ({"patience": 2}, [1, 2, 3, 4], None),
        ({"patience": 2}, [1, 1, 1], 3),
        ({"patience": 2}, [1, 0, 2, 1, 1], 5),  # a gain begins the count anew
        ({"patience": 1, "min_delta": 0.5}, [1, 1.5], 2),  # more than, not as much as
        ({"patience": 2, "min_delta": 0.5}, [1, 1.3, 1.6, 1.9, 2.0], 5),  # small ones add up
        ({"patience": 2}, [math.nan, math.inf, 1], 2),  # what is no number is no gain
        ({"patience": 2}, [1, -math.inf, 2, math.nan, 1], 5),
    ],
)
def test_it_ends_after_so_many_measurements_without_a_gain(
    keys: dict[str, Any], values: list[float], ends: int | None
) -> None:
    spec = EarlyStoppingSpec.model_validate(keys)
    stopping = EarlyStopping(spec, by_scores=True)
    ended = None
    for step, value in enumerate(values, 1):
        stopping.observe(step, -100.0, of_scores=False)  # of the other metric
        stopping.observe(step, value, of_scores=True)
        state = json.loads(json.dumps(stopping.state_dict()))
        stopping = EarlyStopping(spec, by_scores=True)  # as after a resume
        stopping.load_state_dict(state)
        if stopping.ended and ended is None:
            ended = step
    assert ended == ends


def test_without_the_key_it_never_ends_and_the_metric_may_be_chosen() -> None:
    stopping = EarlyStopping(None, by_scores=False)
    for step in range(99):
        stopping.observe(step, 0.0, of_scores=False)
    assert not stopping.ended
    chosen = EarlyStoppingSpec(patience=1, metric="loss")
    assert not EarlyStopping(chosen, by_scores=True).by_scores
    assert EarlyStopping(EarlyStoppingSpec(patience=1), by_scores=True).by_scores


def test_another_metric_begins_anew() -> None:
    """A best score of 50 is above every negative loss."""
    before = EarlyStopping(EarlyStoppingSpec(patience=1), by_scores=True)
    before.observe(1, 50.0, of_scores=True)
    after = EarlyStopping(EarlyStoppingSpec(patience=1, metric="loss"), by_scores=True)
    after.load_state_dict(before.state_dict())
    after.observe(2, -3.0, of_scores=False)
    assert not after.ended and after.facts()["best"] == 3.0


def record(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in event.items() if key not in TIMED}
        for event in map(json.loads, lines)
    ]


def run_of(squares: Path, output: Path, *more: str) -> Any:
    settings = [f"output={output}", "validate_every=2", "checkpoint_every=5", "steps=20"]
    return load_run(squares / "run.yaml", [*settings, "log_every=4", *more])


def test_a_run_ends_early_whole_and_says_why(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(run_of(squares, tmp_path / "out", NEVER))
    said = capsys.readouterr().err
    assert "stopped early after step 6 of 20: 2 measurements of the validation losses" in said
    events = record(tmp_path / "out")
    (event,) = [e for e in events if e["event"] == "early_stop"]
    losses = {e["step"]: e["loss"] for e in events if e["event"] == "validation"}
    assert event == {
        "event": "early_stop",
        "step": 6,
        "by": "validation losses",
        "mean": losses[6],
        "best": losses[2],
        "best_step": 2,
        "measurements": 2,
    }
    assert [e["step"] for e in events if e["event"] == "step"] == [4, 4, 6, 6]
    assert json.loads((model / "training.json").read_text())["steps"] == 6
    assert (tmp_path / "out" / "checkpoints" / "step-00000006").is_dir()
    # a start from there has nothing to do, and says so; with more patience it goes on
    before = load_file(model / "model.safetensors")
    train(run_of(squares, tmp_path / "out", NEVER), resume=True)
    assert "it has stopped early after step 6" in capsys.readouterr().err
    assert_close(load_file(model / "model.safetensors"), before, rtol=0, atol=0)
    train(run_of(squares, tmp_path / "out", NEVER, "early_stopping.patience=3"), resume=True)
    assert json.loads((model / "training.json").read_text())["steps"] == 8


def test_an_interrupted_run_ends_where_the_other_does(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run_of(squares, tmp_path / "unbroken", NEVER), progress=False)
    look_around = between_steps.look_around

    def stop_after_5(training: Any, step: int, stop: int) -> None:
        look_around(training, step, 15 if step == 5 else stop)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("unified_vl.training.trainer.look_around", stop_after_5)
        train(run_of(squares, tmp_path / "broken", NEVER), progress=False)
    train(run_of(squares, tmp_path / "broken", NEVER), resume=True, progress=False)
    kept = [event for event in record(tmp_path / "broken") if event["event"] != "resume"]
    assert kept == record(tmp_path / "unbroken")
    weights = [
        load_file(tmp_path / name / "model" / "model.safetensors")
        for name in ("unbroken", "broken")
    ]
    assert_close(weights[1], weights[0], rtol=0, atol=0)


def test_scores_count_only_when_all_tasks_have_joined(squares: Path, tmp_path: Path) -> None:
    """Of a curriculum the later tasks would never be seen."""
    mixture = tmp_path / "later.yaml"
    mixture.write_text(
        (squares / "resting.yaml")
        .read_text()
        .replace("{spec: see.yaml}", f"{{spec: {squares}/see.yaml}}")
        .replace("{spec: look.yaml}", f"{{spec: {squares}/look.yaml, from_round: 4}}")
        .replace("schedule: {stop_and_go: {patience: 1, gap: 2}}", "")
    )
    more = [f"mixture={mixture}", "score_every=1", "early_stopping={patience: 2, min_delta: 99}"]
    train(run_of(squares, tmp_path / "out", *more), progress=False)
    (event,) = [e for e in record(tmp_path / "out") if e["event"] == "early_stop"]
    # rounds 0 to 3 are steps 1 to 4; then the first score, and two without a gain
    assert (event["step"], event["by"], event["best_step"]) == (7, "scores", 5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["early_stopping={patience: 1, metric: score}"], "metric: nothing is scored"),
        (["early_stopping={patience: 1}", "validation_rows=0"], "validation_rows is 0"),
        (["early_stopping={}"], "patience: is missing"),
    ],
)
def test_what_is_not_measured_ends_nothing(
    squares: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_of(squares, tmp_path, *more)
