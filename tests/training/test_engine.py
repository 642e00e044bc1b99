"""The engine: its file, and that ranks and shards change nothing about the training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.engine import (
    Engine,
    start_process,
)
from unified_vl.training.engine_config import read_engine_config
from unified_vl.training.optimizer import build_optimizer
from unified_vl.training.process import Process
from unified_vl.training.trainer import train

CONFIGS = Path(__file__).parents[2] / "deepspeed_configs"
SHORT = ["model.dropout_rate=0.0", "steps=4", "checkpoint_every=100"]
STAGES = [CONFIGS / f"zero{stage}.json" for stage in range(4)]


def numbers(output: Path) -> dict[tuple[str, int, str, str], float]:
    """Losses and gradient norms by event, step, task and name."""
    lines = (output / "events.jsonl").read_text().splitlines()
    return {
        (event["event"], event["step"], event["task"], name): event[name]
        for event in map(json.loads, lines)
        for name in ("loss", "grad_norm")
        if name in event
    }


def launch_two(port: int, squares: Path, outputs: Path, *overrides: str) -> None:
    """Two processes under the real launcher, one run after the other at every ZeRO stage."""
    launcher = shutil.which("deepspeed", path=str(Path(sys.executable).parent))
    assert launcher is not None
    worker = Path(__file__).with_name("worker.py")
    command = [sys.executable, launcher, "--num_gpus=2", f"--master_port={port}", "--quiet"]
    arguments = [str(squares / "run.yaml"), str(outputs), *map(str, STAGES), *overrides]
    subprocess.run(
        [*command, str(worker), *arguments],
        check=True,
        env={**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"},
        timeout=600,
    )


def test_two_processes_train_as_one_does(squares: Path, tmp_path: Path, free_port: int) -> None:
    """Under the real launcher, at every ZeRO stage, with and without images."""
    run_file = squares / "run.yaml"
    alone = tmp_path / "alone"
    train(load_run(run_file, [f"output={alone}", *SHORT]), progress=False)
    launch_two(free_port, squares, tmp_path, *SHORT)
    expected = numbers(alone)
    assert {task for _, _, task, _ in expected} == {"see", "say"}
    reference = load_file(alone / "model" / "model.safetensors")
    for stage in STAGES:
        # the norms too: clipping and AdamW would hide a gradient of the wrong size
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem
        weights = load_file(tmp_path / stage.stem / "model" / "model.safetensors")
        assert weights.keys() == reference.keys()
        for name, weight in weights.items():
            torch.testing.assert_close(weight, reference[name], rtol=1e-3, atol=1e-4)


def test_joint_updates_in_parts_are_the_same_update(
    squares: Path, tmp_path: Path, free_port: int
) -> None:
    """One optimiser step a round, by target tokens, in two parts a rank, at every ZeRO stage."""
    joint = ["steps=3", f"mixture={squares / 'joint.yaml'}"]
    alone = tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *SHORT, *joint]), progress=False)
    launch_two(free_port, squares, tmp_path, *SHORT, *joint, "accumulate=2")
    expected = numbers(alone)
    assert [key for key in expected if key[:3] == ("step", 1, "say")]  # every task, every step
    assert [key for key in expected if key[:3] == ("step", 1, "see")]
    for stage in STAGES:
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem


def test_tasks_rest_and_wake_alike_on_all_ranks(
    squares: Path, tmp_path: Path, free_port: int
) -> None:
    """Scores need generation, which under ZeRO-3 needs the whole model on every rank."""
    resting = ["steps=9", "score_every=2", f"mixture={squares / 'resting.yaml'}"]
    alone = tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *SHORT, *resting]), progress=False)
    launch_two(free_port, squares, tmp_path, *SHORT, *resting)
    expected = decisions(alone)
    assert {event["event"] for event in expected} == {"score", "stop_and_go"}
    for stage in STAGES:
        assert decisions(tmp_path / stage.stem) == expected, stage.stem


def decisions(output: Path) -> list[dict[str, object]]:
    """The scores of a run and what followed from them."""
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] in ("score", "stop_and_go")]


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.json")), ids=lambda p: p.stem)
def test_our_engine_files_hold_only_the_engines_keys(config: Path) -> None:
    assert read_engine_config(config)["zero_optimization"]["stage"] in range(4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"train_batch_size": 8}', "train_batch_size: "),
        ('{"gradient_clipping": 1.0}', "gradient_clipping: "),
        ('{"optimizer": {"type": "Adam"}}', "optimizer: "),
        ('{"zero_optimisation": {}}', "did you mean 'zero_optimization'"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (None, "no such file"),
    ],
)
def test_a_bad_engine_file_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "engine.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        read_engine_config(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


def test_a_batch_must_be_shared_evenly(squares: Path) -> None:
    run = load_run(squares / "run.yaml", ["batch_size=5"])
    model = build(run).model
    with pytest.raises(UserError, match="multiple of 2"):
        Engine(
            Process(0, 2, torch.device("cpu")), model, build_optimizer(model, run.optimizer), run
        )


@pytest.mark.parametrize(
    ("zero", "told"),
    [
        ({"compute_grad_norm": False}, "zero_optimization.compute_grad_norm: without"),
        ({"stage": 3, "offload_param": {"device": "nvme"}}, "offload_param.device: checkpoints"),
    ],
)
def test_what_cannot_be_guarded_or_saved_is_refused(
    squares: Path, tmp_path: Path, zero: dict[str, object], told: str
) -> None:
    path = tmp_path / "engine.json"
    path.write_text(json.dumps({"zero_optimization": zero}))
    run = load_run(squares / "run.yaml", [f"engine={path}"])
    model = build(run).model
    with pytest.raises(UserError, match=told):
        Engine(start_process(), model, build_optimizer(model, run.optimizer), run)


def test_a_backbone_with_batch_norms_trains_in_bf16(squares: Path, tmp_path: Path) -> None:
    vision = "model.vision={kind: timm, backbone: test_efficientnet, feature_level: -1, "
    run = load_run(
        squares / "run.yaml",
        [
            *SHORT,
            f"output={tmp_path}",
            f"engine={CONFIGS / 'zero0_bf16.json'}",
            vision + "image_size: [64, 64]}",
        ],
    )
    weights = load_file(train(run, progress=False) / "model.safetensors")
    means = [value for name, value in weights.items() if name.endswith("running_mean")]
    assert means and all(value.abs().max() > 0 for value in means)  # they were learnt


def test_what_deepspeed_refuses_is_the_users_error(squares: Path, tmp_path: Path) -> None:
    path = tmp_path / "engine.json"
    path.write_text('{"zero_optimization": {"stage": 7}}')
    run = load_run(squares / "run.yaml", [f"engine={path}"])
    model = build(run).model
    with pytest.raises(UserError, match="stage"):
        Engine(start_process(), model, build_optimizer(model, run.optimizer), run)
