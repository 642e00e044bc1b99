"""The engine: its file, and that ranks and shards change nothing about the training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import CPU, PATIENCE, free_port, run_ranks
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import Process, start_process
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
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


def computed(output: Path) -> dict[tuple[int, str], list[float]]:
    """Tokens and images of all ranks, of each step and task."""
    lines = (output / "events.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    rates = ("tokens_per_second", "images_per_second")
    return {
        (event["step"], event["task"]): [
            event["speed"][rate] * event["speed"]["step_seconds"] for rate in rates
        ]
        for event in steps
    }


def train_by_two(
    squares: Path, outputs: Path, *overrides: str, stages: Sequence[Path] = STAGES
) -> None:
    """Two processes, one run after the other at the ZeRO stages, all unless named."""
    run_ranks(WORKER, squares / "run.yaml", outputs, *stages, *overrides)


def test_two_processes_train_as_one_does(squares: Path, tmp_path: Path) -> None:
    """Under the real launcher, at every ZeRO stage, with and without images."""
    run_file = squares / "run.yaml"
    alone = tmp_path / "alone"
    train(load_run(run_file, [f"output={alone}", *SHORT]), progress=False)
    launcher = shutil.which("deepspeed", path=str(Path(sys.executable).parent))
    assert launcher is not None
    command = [sys.executable, launcher, "--num_gpus=2", f"--master_port={free_port()}", "--quiet"]
    arguments = [str(WORKER), str(run_file), str(tmp_path), *map(str, STAGES), *SHORT]
    environment = {**os.environ, **CPU}
    subprocess.run([*command, *arguments], check=True, env=environment, timeout=PATIENCE)
    expected = numbers(alone)
    assert {task for _, _, task, _ in expected} == {"see", "say"}
    reference = load_file(alone / "model" / "model.safetensors")
    for stage in STAGES:
        # the norms too: clipping and AdamW would hide a gradient of the wrong size
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem
        for step, counts in computed(tmp_path / stage.stem).items():
            assert counts == pytest.approx(computed(alone)[step], rel=0.1), step
        weights = load_file(tmp_path / stage.stem / "model" / "model.safetensors")
        assert weights.keys() == reference.keys()
        for name, weight in weights.items():
            torch.testing.assert_close(weight, reference[name], rtol=1e-3, atol=1e-4)


def test_the_loss_of_a_large_vocabulary_is_the_same_in_chunks(
    squares: Path, tmp_path: Path
) -> None:
    """By two processes, with whole weights and with shards, where the head is the embedding; with a
    contrast."""
    keys = [*SHORT, "model.tie_word_embeddings=true", "label_smoothing=0.1", "z_loss=0.001"]
    alone = tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *keys]), progress=False)
    stages = [STAGES[0], STAGES[3]]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *stages, *keys, "--chunked")
    expected = numbers(alone)
    for stage in stages:
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem


def test_two_processes_without_padding_train_as_one_does_with_it(
    squares: Path, tmp_path: Path
) -> None:
    """With whole weights and with shards, with images, a contrast and a budget of tokens."""
    keys = [*SHORT, "batch_size=null", "batch_tokens=400"]
    alone, stages = tmp_path / "alone", [STAGES[1], STAGES[3]]
    train(load_run(squares / "run.yaml", [f"output={alone}", *keys]), progress=False)
    train_by_two(squares, tmp_path, *keys, "packing=true", stages=stages)
    expected = numbers(alone)
    for stage in stages:
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem


def test_workers_change_nothing_on_two_ranks(squares: Path, tmp_path: Path) -> None:
    """Bit for bit, with images, without padding, with a budget of tokens, at ZeRO 2 and 3."""
    keys = [*SHORT, "batch_size=null", "batch_tokens=400", "packing=true", "--workers"]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES[2:], *keys)
    for stage in STAGES[2:]:
        outputs = [tmp_path / stage.stem, tmp_path / f"{stage.stem}-workers"]
        alone, beside = map(numbers, outputs)
        assert alone and alone == beside, stage.stem
        alone, beside = ((o / "model" / "model.safetensors").read_bytes() for o in outputs)
        assert alone == beside, stage.stem


def test_joint_updates_in_parts_are_the_same_update(squares: Path, tmp_path: Path) -> None:
    """One optimiser step a round, by target tokens, in two parts a rank, at every ZeRO stage."""
    joint = ["steps=3", f"mixture={squares / 'joint.yaml'}"]
    alone = tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *SHORT, *joint]), progress=False)
    train_by_two(squares, tmp_path, *SHORT, *joint, "accumulate=2")
    expected = numbers(alone)
    assert [key for key in expected if key[:3] == ("step", 1, "say")]  # every task, every step
    assert [key for key in expected if key[:3] == ("step", 1, "see")]
    for stage in STAGES:
        assert numbers(tmp_path / stage.stem) == pytest.approx(expected, rel=1e-5), stage.stem


def test_tasks_rest_and_wake_alike_on_all_ranks(squares: Path, tmp_path: Path) -> None:
    """Scores need generation, which under ZeRO-3 needs the whole model on every rank."""
    resting = ["steps=9", "score_every=2", f"mixture={squares / 'resting.yaml'}"]
    alone, stages = tmp_path / "alone", [STAGES[0], STAGES[3]]
    train(load_run(squares / "run.yaml", [f"output={alone}", *SHORT, *resting]), progress=False)
    train_by_two(squares, tmp_path, *SHORT, *resting, stages=stages)
    expected = decisions(alone)
    assert {event["event"] for event in expected} == {"score", "stop_and_go"}
    for stage in stages:
        assert decisions(tmp_path / stage.stem) == expected, stage.stem


def decisions(output: Path) -> list[dict[str, object]]:
    """The scores of a run and what followed from them."""
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] in ("score", "stop_and_go")]


def test_a_batch_must_be_shared_evenly(squares: Path) -> None:
    run = load_run(squares / "run.yaml", ["batch_size=5"])
    model = build(run).model
    with pytest.raises(UserError, match="multiple of 2"):
        Engine(
            Process(0, 2, torch.device("cpu")), model, build_optimizer(model, run.optimizer), run
        )


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


@pytest.mark.parametrize("error", [ValueError, AssertionError, NotImplementedError])
def test_what_deepspeed_refuses_is_the_users_error(
    squares: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start_process()

    def refuse(**_: object) -> None:
        raise error("no such thing here")

    monkeypatch.setattr("deepspeed.initialize", refuse)
    run = load_run(squares / "run.yaml")
    model = build(run).model
    with pytest.raises(UserError, match=r"run.yaml:\d+: engine: DeepSpeed refuses it: no such"):
        Engine(process, model, build_optimizer(model, run.optimizer), run)


def test_without_an_engine_file_it_is_stage_0_in_fp32(squares: Path, tmp_path: Path) -> None:
    run_file = tmp_path / "run.yaml"
    text = "\n".join(
        line for line in (squares / "run.yaml").read_text().splitlines() if "engine:" not in line
    )
    run_file.write_text(text.replace("mixture: ", f"mixture: {squares}/"))
    outputs = [tmp_path / "default", tmp_path / "stage_0"]
    train(load_run(run_file, [f"output={outputs[0]}", *SHORT]), progress=False)
    train(load_run(squares / "run.yaml", [f"output={outputs[1]}", *SHORT]), progress=False)
    assert numbers(outputs[0]) == numbers(outputs[1])


COURSE = [
    *SHORT,
    "steps=20",
    "checkpoint_every=2",
    "validate_every=1",
    "ema={decay: 0.5}",
    "activation_checkpointing=true",
    "early_stopping={patience: 3, min_delta: 1000}",
    "optimizer.eps=0.001",
    "keep_best=false",
]


def stops(output: Path) -> list[dict[str, Any]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == "early_stop"]


def test_two_processes_take_the_course_of_one(squares: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *COURSE]), progress=False)
    train_by_two(squares, tmp_path, *COURSE)
    expected, reference = numbers(alone), load_file(alone / "model" / "model.safetensors")
    (stop,) = stops(alone)
    assert stop["step"] == 4
    for stage in STAGES:
        output = tmp_path / stage.stem
        # also the validation losses, which are of the mean, and what comes after it was in place
        assert numbers(output) == pytest.approx(expected, rel=1e-4), stage.stem
        assert stops(output)[0]["step"] == 4, stage.stem
        for name, weight in load_file(output / "model" / "model.safetensors").items():
            torch.testing.assert_close(weight, reference[name], rtol=1e-3, atol=1e-5)
        # one process goes on from what two have written, mean and all
        more = [f"output={output}", f"engine={stage}", *COURSE, "early_stopping=null", "steps=5"]
        settings = [*more, "continuation=constant"]
        train(load_run(squares / "run.yaml", settings), resume=True, progress=False)
        assert json.loads((output / "model" / "training.json").read_text())["steps"] == 5
