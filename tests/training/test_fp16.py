"""fp16 with a scaled loss: refused in time where the device has none; its path, on this CPU.

DeepSpeed refuses fp16 on a CPU. Here it is told that the CPU can, and torch's kernels then compute
in it: what is tested is the way of the scale, not the speed or the accuracy of a GPU.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from unified_vl.errors import TrainingFault, UserError
from unified_vl.specs.load import load_run
from unified_vl.training import trainer
from unified_vl.training.trainer import train


def engine_of(folder: Path, stage: int = 2, **keys: Any) -> Path:
    path = folder / f"fp16_{stage}.json"
    fp16 = {"enabled": True, "hysteresis": 1, **keys}
    path.write_text(json.dumps({"zero_optimization": {"stage": stage}, "fp16": fp16}))
    return path


def run_of(squares: Path, folder: Path, *more: str, **keys: Any) -> Any:
    engine = engine_of(folder, **keys)
    settings = [f"output={folder / 'out'}", f"engine={engine}", "optimizer.decay=constant"]
    return load_run(squares / "run.yaml", [*settings, "optimizer.warmup_steps=0", *more])


def pretend(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    """That DeepSpeed's device computes in fp16, or does not: of CPUs some do."""
    from deepspeed.accelerator import get_accelerator

    monkeypatch.setattr(type(get_accelerator()), "is_fp16_supported", lambda _: able)


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, True)


def events(output: Path, kind: str) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_a_device_without_it_is_told_before_anything_is_read(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, False)
    monkeypatch.setattr(trainer, "build", lambda *_: pytest.fail("the data were read"))
    with pytest.raises(UserError) as refused:
        train(run_of(squares, tmp_path), progress=False)
    assert str(refused.value) == (
        f"{tmp_path}/fp16_2.json:1: fp16.enabled: DeepSpeed does not train in fp16 on this device "
        "(cpu); expected bf16: {enabled: true}, or fp32"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_overflows_lower_the_scale_and_are_no_fault(
    squares: Path, tmp_path: Path, stage: int
) -> None:
    more = ["faults.policy=abort", "steps=6"]
    run = run_of(squares, tmp_path, *more, stage=stage, initial_scale_power=30)
    train(run, progress=False)
    refused = events(tmp_path / "out", "refused")
    assert [event["step"] for event in refused] == list(range(1, len(refused) + 1))
    assert 1 <= len(refused) <= 6
    for number, event in enumerate(refused, 1):
        assert event["reason"].endswith(f"the loss scale is {2.0 ** (30 - number):g} now")
    run = run_of(
        squares,
        tmp_path,
        "steps=24",
        "output=" + str(tmp_path / "long"),
        stage=stage,
        initial_scale_power=30,
    )
    train(run, progress=False)
    steps = events(tmp_path / "long", "step")
    assert steps and all(math.isfinite(e["loss"]) and e["grad_norm"] < 100 for e in steps)


@pytest.mark.usefixtures("able")
def test_a_resume_is_exact_scale_and_all(squares: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"initial_scale_power": 10, "loss_scale_window": 2}
    models = []
    for name, stops in (("whole", (6,)), ("parts", (3, 6))):
        folder = tmp_path / name
        folder.mkdir()
        for number, steps in enumerate(stops):
            run = run_of(squares, folder, f"steps={steps}", **settings)
            models.append(train(run, resume=number > 0, progress=False))
    whole, _, parts = models
    weights = [load_file(model / "model.safetensors") for model in (whole, parts)]
    assert_close(weights[1], weights[0], rtol=0, atol=0)
    scales = [
        json.loads((model.parent / "checkpoints/step-00000006/progress.json").read_text())
        for model in (whole, parts)
    ]
    assert scales[0]["loss_scale"] == scales[1]["loss_scale"]
    assert scales[0]["loss_scale"]["cur_scale"] > 2.0**10  # it has grown on the way


@pytest.mark.usefixtures("able")
def test_it_ends_where_the_scale_cannot_be_lowered(squares: Path, tmp_path: Path) -> None:
    run = run_of(squares, tmp_path, initial_scale_power=40, min_loss_scale=2.0**39)
    with pytest.raises(TrainingFault, match="overflow in fp16 at the least loss scale"):
        train(run, progress=False)
