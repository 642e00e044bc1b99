"""The running mean of the weights: what it is, where it is used, and that a resume is exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from unified_vl.specs.load import load_run
from unified_vl.training.distributed.weight_means import WeightMean
from unified_vl.training.trainer import train

EMA = "ema={decay: 0.5}"


def test_it_is_the_written_mean_and_exchanges_without_a_trace() -> None:
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    mean = WeightMean(0.4, [*weights, weights[0]])  # each once
    expected = [weight.clone() for weight in weights]
    for number in range(1, 8):
        decay = min(0.4, (1 + number) / (10 + number))
        for weight, value in zip(weights, expected, strict=True):
            weight.mul_(-1.5)
            value.mul_(decay).add_(weight, alpha=1 - decay)
        mean.update()
    for weight, value in zip(weights, expected, strict=True):
        assert_close(mean.of(weight), value)
    before = [weight.clone() for weight in weights]
    mean.exchange()
    assert_close(weights, expected)
    mean.exchange()
    assert_close(weights, before, rtol=0, atol=0)


def run_of(squares: Path, output: Path, *more: str) -> Any:
    settings = ["model.dropout_rate=0.1", "optimizer.decay=constant", "checkpoint_every=1"]
    keys = [f"output={output}", "validate_every=1", "keep_checkpoints=99"]
    return load_run(squares / "run.yaml", [*keys, *settings, *more])


def state(output: Path, step: int) -> dict[str, torch.Tensor]:
    folder = output / "checkpoints" / f"step-{step:08d}" / "state"
    return {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}


def losses(output: Path) -> dict[int, float]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {e["step"]: e["loss"] for e in events if e["event"] == "validation"}


@pytest.fixture(scope="module")
def averaged(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("ema") / "out"
    train(run_of(squares, output, EMA), progress=False)
    return output


def test_the_mean_is_saved_and_measured_and_training_is_as_without(
    squares: Path, tmp_path: Path, averaged: Path
) -> None:
    train(run_of(squares, tmp_path / "plain"), progress=False)
    mean = None
    for step in range(1, 7):  # the weights are the same: the mean is of no effect on them
        with_mean, without = state(averaged, step), state(tmp_path / "plain", step)
        for key, value in without.items():
            assert_close(with_mean[key], value, rtol=0, atol=0)
        masters = {k.split(":")[2]: v for k, v in without.items() if k.startswith("master")}
        means = {k.split(":")[2]: v for k, v in with_mean.items() if k.startswith("ema:")}
        if mean is not None:
            decay = min(0.5, (1 + step) / (10 + step))
            for name, value in means.items():
                assert_close(value, decay * mean[name] + (1 - decay) * masters[name])
        mean = means
    saved = load_file(averaged / "model" / "model.safetensors")
    last = load_file(tmp_path / "plain" / "model" / "model.safetensors")
    assert mean is not None and any(not torch.equal(saved[name], last[name]) for name in last)
    for name, value in saved.items():
        if name in mean:
            assert_close(value.reshape(-1), mean[name], rtol=0, atol=0)
    assert losses(averaged) != losses(tmp_path / "plain")
    # the best model is of the mean, too
    best = load_file(averaged / "best_model" / "model.safetensors")
    facts = json.loads((averaged / "best_model" / "training.json").read_text())
    of_best = state(averaged, facts["steps"])
    assert_close(
        {name: value.reshape(-1) for name, value in best.items() if f"ema:0:{name}" in of_best},
        {name: of_best[f"ema:0:{name}"] for name in best if f"ema:0:{name}" in of_best},
        rtol=0,
        atol=0,
    )


def test_a_resume_is_exact(squares: Path, tmp_path: Path, averaged: Path) -> None:
    train(run_of(squares, tmp_path / "out", EMA, "steps=3"), progress=False)
    train(run_of(squares, tmp_path / "out", EMA), resume=True, progress=False)
    assert_close(state(tmp_path / "out", 6), state(averaged, 6), rtol=0, atol=0)
    models = [load_file(o / "model" / "model.safetensors") for o in (tmp_path / "out", averaged)]
    assert_close(*models, rtol=0, atol=0)


def test_it_may_come_and_go(squares: Path, tmp_path: Path, averaged: Path) -> None:
    """From a checkpoint without one it begins at its weights; one that nobody keeps is left out."""
    train(run_of(squares, tmp_path / "out", "steps=3"), progress=False)
    train(run_of(squares, tmp_path / "out", EMA, "steps=4"), resume=True, progress=False)
    before, after = state(tmp_path / "out", 3), state(tmp_path / "out", 4)
    decay = min(0.5, 2 / 11)
    for key, value in after.items():
        kind, start, name = key.split(":", 2)
        if kind == "ema":
            old, new = before[f"master:{start}:{name}"], after[f"master:{start}:{name}"]
            assert_close(value, decay * old + (1 - decay) * new)
    train(run_of(squares, tmp_path / "out", "ema=null", "steps=5"), resume=True, progress=False)
    last = state(tmp_path / "out", 5)
    assert {key.split(":")[0] for key in last} == {"master", "step", "exp_avg", "exp_avg_sq"} | (
        {"buffer"} if any(key.startswith("buffer") for key in last) else set()
    )
