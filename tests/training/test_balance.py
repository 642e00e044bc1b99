"""Tasks held in balance: what each kind computes, that a resume is exact, what is refused."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.balancing.pcgrad import PCGrad
from unified_vl.training.balancing.running_means import GradientNorm, RunningLoss
from unified_vl.training.balancing.uncertainty import Uncertainty
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
SHORT = ["steps=4", "validation_rows=0", "optimizer.decay=constant"]


def test_losses_come_to_their_geometric_mean() -> None:
    balance = RunningLoss(0.5, 10.0)
    assert balance.factor("a") == 1
    for loss in (8.0, 4.0):
        balance.observe({"a": loss}, 1.0)
    balance.observe({"b": 1.0, "c": 1.0}, 1.0)
    mean = (0.25 * 8 + 0.5 * 4) / 0.75
    level = mean ** (1 / 3)
    assert balance.factor("a") == pytest.approx(level / mean)
    assert balance.factor("b") == balance.factor("c") == pytest.approx(level)
    assert balance.factor("new") == 1
    balance.observe({"d": 0.0}, 1.0)
    assert (balance.factor("d"), balance.factor("a")) == (10, 0.1)  # the limit, both ways


def test_norms_are_those_without_the_factor() -> None:
    balance = GradientNorm(0.0, 10.0)
    for _ in range(3):  # a hundredth of the other, whatever is made of it
        for task, norm in (("a", 0.2), ("b", 5.0)):
            balance.observe({task: 1.0}, norm * balance.factor(task))
    assert balance.factor("a") == pytest.approx(5)
    assert balance.factor("b") == pytest.approx(0.2)


def test_uncertainty_comes_to_rest_where_its_loss_is_least() -> None:
    balance = Uncertainty(0.1)
    for _ in range(400):
        balance.observe({"a": 4.0, "b": 0.25}, 1.0)
    assert balance.factor("a") == pytest.approx(1 / 8, rel=1e-3)
    assert balance.factor("b") == pytest.approx(2, rel=1e-3)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_surgery_is_that_of_the_written_algorithm(seed: int, tasks: int) -> None:
    g_TW = torch.randn(tasks, 6, generator=torch.Generator().manual_seed(seed)).double()
    order = random.Random(str(seed))
    total_W = torch.zeros(6).double()
    for task in range(tasks):
        others = [other for other in range(tasks) if other != task]
        order.shuffle(others)
        projected_W = g_TW[task].clone()
        for other in others:
            if (along := projected_W @ g_TW[other]) < 0:
                projected_W -= along / (g_TW[other] @ g_TW[other]) * g_TW[other]
        total_W += projected_W
    factors = PCGrad().combine((g_TW @ g_TW.T).tolist(), str(seed))
    torch.testing.assert_close(torch.tensor(factors, dtype=torch.float64) @ g_TW, total_W)


def test_surgery_leaves_what_is_in_no_conflict_and_what_is_no_number() -> None:
    assert PCGrad().combine([[1.0, 0.5], [0.5, 2.0]], "0") == [1, 1]
    assert PCGrad().combine([[1.0, 0.0], [0.0, 0.0]], "0") == [1, 1]
    assert all(math.isfinite(x) for x in PCGrad().combine([[math.nan] * 2] * 2, "0"))


def balanced(squares: Path, folder: Path, balance: str, *more: str) -> Any:
    """A run of the squares with a balance."""
    folder.mkdir(exist_ok=True)
    for name in ("see.yaml", "say.yaml"):
        shutil.copy(squares / name, folder / name)
    kind = "joint" if "pcgrad" in balance else "mixture"
    text = (squares / f"{kind}.yaml").read_text(encoding="utf-8")
    (folder / "mixture.yaml").write_text(f"{text}balance: {balance}\n", encoding="utf-8")
    mixture = f"mixture={folder / 'mixture.yaml'}"
    return load_run(squares / "run.yaml", [mixture, *SHORT, *more])


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "model.safetensors")


def steps(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "step"]


@pytest.mark.parametrize(
    "balance",
    [
        "{kind: running_loss, decay: 0.5}",
        "{kind: gradient_norm, limit: 2}",
        "{kind: uncertainty}",
        "{kind: pcgrad}",
    ],
)
def test_a_resume_is_exact(balance: str, squares: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(balanced(squares, tmp_path, balance, f"output={whole}"), progress=False)
    train(balanced(squares, tmp_path, balance, f"output={parts}", "steps=2"), progress=False)
    train(balanced(squares, tmp_path, balance, f"output={parts}"), resume=True, progress=False)
    first, again = weights(whole), weights(parts)
    assert all(torch.equal(first[name], again[name]) for name in first)
    told = [event["balance"] for event in steps(whole)]
    assert told == [event["balance"] for event in steps(parts)]
    assert told[0] == 1 or "pcgrad" in balance
    assert any(factor != 1 for factor in told) or "pcgrad" in balance


@pytest.mark.parametrize("engine", ["zero0", "zero1", "zero2", "zero1_bf16"])
def test_a_gradient_that_is_put_together_is_that_of_the_update(
    engine: str, squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without conflicts surgery leaves a joint update as it is."""
    monkeypatch.setattr(PCGrad, "combine", lambda self, products, draw: [1.0] * len(products))
    file = f"engine={ENGINES / engine}.json"
    keys = ["steps=1", "optimizer.eps=1e-3", "accumulate=2", file]
    plain, apart = tmp_path / "plain", tmp_path / "apart"
    joint = f"mixture={squares / 'joint.yaml'}"
    train(load_run(squares / "run.yaml", [joint, *SHORT, *keys, f"output={plain}"]), progress=False)
    train(balanced(squares, tmp_path, "{kind: pcgrad}", *keys, f"output={apart}"), progress=False)
    near = 2e-2 if "bf16" in engine else 1e-5
    assert steps(apart)[0]["grad_norm"] == pytest.approx(steps(plain)[0]["grad_norm"], rel=near)
    first, again = weights(plain), weights(apart)
    for name in first:
        torch.testing.assert_close(first[name], again[name], rtol=near, atol=near / 10)


@pytest.mark.parametrize(
    ("balance", "more", "said"),
    [
        ("{kind: pcgrd}", "", "balance.kind: found 'pcgrd'; expected .*did you mean 'pcgrad'"),
        ("{}", "", "balance.kind: is missing"),
        ("{kind: pcgrad, decay: 0.5}", "", "decay: a balance of kind 'pcgrad' does not read this"),
        ("{kind: running_loss, limit: 0.5}", "", "limit: found 0.5; expected greater than or eq"),
        ("{kind: uncertainty, learning_rate: 0}", "", "learning_rate: found 0; expected greater"),
        (
            "{kind: pcgrad}",
            f"engine={ENGINES / 'zero3.json'}",
            "engine: ZeRO 3 shards the parameters, .* which the balance 'pcgrad' of its mixture",
        ),
    ],
)
def test_what_cannot_be_is_said(
    balance: str, more: str, said: str, squares: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        balanced(squares, tmp_path, balance, *([more] if more else []))


@pytest.mark.parametrize(
    ("update", "kind", "said"),
    [
        (
            "per_task",
            "pcgrad",
            "'pcgrad' is for updates 'joint', and the schedule's are 'per_t",
        ),
        ("joint", "gradient_norm", "'gradient_norm' is for updates 'per_task'"),
    ],
)
def test_updates_and_balance_go_together(
    update: str, kind: str, said: str, squares: Path, tmp_path: Path
) -> None:
    for name in ("see.yaml", "say.yaml"):
        shutil.copy(squares / name, tmp_path / name)
    text = (squares / "mixture.yaml").read_text(encoding="utf-8")
    text += f"schedule: {{update: {update}}}\nbalance: {{kind: {kind}}}\n"
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"balance\.kind: {said}"):
        load_run(squares / "run.yaml", [f"mixture={tmp_path / 'mixture.yaml'}"])
