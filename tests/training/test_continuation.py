"""What the learning rate does when a run goes on with another number of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.training.learning_rate import LearningRate
from unified_vl.training.trainer import train

WARM = "optimizer={lr: 0.001, warmup_steps: 2, decay: linear, decay_from: 0.5}"


def rates(spec: dict[str, Any], steps: int, way: Any, begin: int, first: float) -> list[float]:
    rate = LearningRate(OptimizerSpec.model_validate({"lr": 1.0, **spec}), steps)
    rate.go_on(way, begin, first)
    again = LearningRate(rate.spec, steps)
    again.load_state_dict(json.loads(json.dumps(rate.state_dict())))
    return [again.at(step) for step in range(begin, steps)]


@pytest.mark.parametrize(
    ("way", "spec", "expected"),
    [
        ("constant", {}, [0.2, 0.2, 0.2, 0.2]),
        ("cooldown", {}, [0.2, 0.15, 0.1, 0.05]),
        ("cooldown", {"decay": "constant"}, [0.2, 0.15, 0.1, 0.05]),
        ("cooldown", {"decay": "cosine"}, [0.2, 0.170711, 0.1, 0.029289]),
        ("rewarm", {"warmup_steps": 2}, [0.6, 1.0, 1.0, 0.5]),
        ("rewarm", {"decay": "constant"}, [1.0, 1.0, 1.0, 1.0]),
        ("replan", {}, [1.0, 0.8, 0.6, 0.4]),  # of 10 steps it decays from the fifth on
    ],
)
def test_the_ways_to_go_on(way: str, spec: dict[str, Any], expected: list[float]) -> None:
    steps = 10 if way == "replan" else 9
    found = rates(spec, steps, way, 5, 0.2)
    assert found[:4] == pytest.approx(expected, abs=1e-6)


def run_of(squares: Path, output: Path, *more: str) -> Any:
    return load_run(squares / "run.yaml", [f"output={output}", WARM, "checkpoint_every=1", *more])


def lr_of(output: Path) -> dict[int, float]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {event["step"]: event["lr"] for event in events if event["event"] == "step"}


@pytest.mark.parametrize(
    ("way", "told", "expected"),
    [
        ("replan", "as if 8 steps had been planned", [0.001, 0.00075, 0.0005, 0.00025]),
        ("rewarm", "it increases to 0.001 in 2 steps", [0.00075, 0.001, 0.001, 0.0005]),
        ("cooldown", "it decays to zero at step 8", [0.0005, 0.000375, 0.00025, 0.000125]),
        ("constant", "it stays there", [0.0005, 0.0005, 0.0005, 0.0005]),
    ],
)
def test_a_finished_run_goes_on_as_it_says_also_when_it_is_interrupted(
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    told: str,
    expected: list[float],
) -> None:
    train(run_of(squares, tmp_path, "steps=4"), progress=False)
    assert lr_of(tmp_path)[4] == pytest.approx(0.0005)
    more = run_of(squares, tmp_path, "steps=8", f"continuation={way}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("unified_vl.training.trainer.look_around", interrupt_after_6)
        train(more, resume=True)
    said = capsys.readouterr().err
    assert f"continuation: {way}: from 0.0005 {told}" in said
    assert f"was 0.0005 at step 4 and is {expected[0]:.4g} at the next" in said
    train(more, resume=True, progress=False)
    assert [lr_of(tmp_path)[step] for step in range(5, 9)] == pytest.approx(expected)


def interrupt_after_6(training: Any, step: int, stop: int) -> None:
    from unified_vl.training.course.between_steps import look_around

    look_around(training, step, stop)
    if step == 6:
        raise KeyboardInterrupt


def test_a_rate_that_would_rise_is_refused_and_nothing_is_lost(
    squares: Path, tmp_path: Path
) -> None:
    train(run_of(squares, tmp_path, "steps=4"), progress=False)
    record = (tmp_path / "events.jsonl").read_bytes()
    with pytest.raises(UserError) as refused:
        train(run_of(squares, tmp_path, "steps=8"), resume=True, progress=False)
    assert str(refused.value) == (
        "command line: steps: with 8 steps in place of 4 the learning rate would go from 0.0005 at "
        "step 4 to 0.001 at the next; expected continuation: rewarm, cooldown, constant or, to "
        "have that, replan"
    )
    assert (tmp_path / "events.jsonl").read_bytes() == record


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        (4, ["optimizer.lr=0.005"]),  # a rate that the run file raises is what it asks for
        (3, []),  # and one that falls no surprise that spoils a model
        (5, ["optimizer.decay=constant"]),
    ],
)
def test_what_does_not_rise_by_the_steps_goes_on(
    squares: Path, tmp_path: Path, steps: int, more: list[str]
) -> None:
    constant = [value for value in more if "decay" in value]
    train(run_of(squares, tmp_path, "steps=2", *constant), progress=False)
    more = [*more, "continuation=rewarm"] if steps == 4 else more
    more = [*more, "continuation=cooldown"] if steps == 3 else more
    train(run_of(squares, tmp_path, f"steps={steps}", *more), resume=True, progress=False)
    assert len(lr_of(tmp_path)) == steps
