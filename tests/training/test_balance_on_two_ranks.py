"""Tasks held in balance by two processes: factors, and what is learnt, as by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.processes import run_ranks
from unified_vl.checkpoint_folders import newest
from unified_vl.specs.load import load_run
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
WORKER = Path(__file__).with_name("worker.py")
STAGES = ("zero0", "zero3")
KEYS = [
    *("validation_rows=0", "model.dropout_rate=0", "checkpoint_every=2"),
    *("optimizer.eps=1e-3", "optimizer.decay=constant"),
]
STEPS = {"mixture": 6, "joint": 4}  # two rounds at least, of which the first has no factors


def updates(output: Path) -> dict[tuple[int, int, str, str], float]:
    """What each batch came to, by step, place in the update, task and name."""
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    found = [event for event in map(json.loads, lines) if event["event"] == "step"]
    return {
        (event["step"], place, event["task"], name): event[name]
        for place, event in enumerate(found)
        for name in ("loss", "grad_norm", "balance")
    }


def remembered(output: Path) -> dict[str, Any]:
    """What a resume would go on with, by task."""
    name = newest(output / "checkpoints")
    assert name is not None
    text = (output / "checkpoints" / name / "progress.json").read_text(encoding="utf-8")
    (by_task,) = json.loads(text)["balance"].values()
    return dict(by_task)


@pytest.mark.parametrize(
    ("balance", "kind"),
    [
        ("{kind: running_loss, decay: 0.5}", "mixture"),
        ("{kind: running_loss, decay: 0.5}", "joint"),
        ("{kind: gradient_norm, decay: 0.5}", "mixture"),
        ("{kind: uncertainty, learning_rate: 0.5}", "mixture"),
        ("{kind: uncertainty, learning_rate: 0.5}", "joint"),
    ],
)
def test_two_processes_balance_as_one_does(
    balance: str, kind: str, squares: Path, tmp_path: Path
) -> None:
    """Each rank has other rows: a factor of its own loss or norm would be another one."""
    for name in ("see.yaml", "say.yaml"):
        shutil.copy(squares / name, tmp_path / name)
    text = (squares / f"{kind}.yaml").read_text(encoding="utf-8")
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(f"{text}balance: {balance}\n", encoding="utf-8")
    keys, alone = [*KEYS, f"mixture={mixture}", f"steps={STEPS[kind]}"], tmp_path / "alone"
    train(load_run(squares / "run.yaml", [f"output={alone}", *keys]), progress=False)
    engines = [ENGINES / f"{stage}.json" for stage in STAGES]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *engines, *keys, "--halves")
    expected, weights = updates(alone), load_file(alone / "model" / "model.safetensors")
    factors = [value for (*_, name), value in expected.items() if name == "balance"]
    assert sum(factor != 1 for factor in factors) >= 3
    for stage in STAGES:
        whole, halves = tmp_path / stage, tmp_path / f"{stage}-halves"
        assert updates(whole) == pytest.approx(expected, rel=1e-5), stage
        memory = remembered(alone)
        assert remembered(whole).keys() == memory.keys() == {"see", "say"}
        for task, value in remembered(whole).items():
            assert value == pytest.approx(memory[task], rel=1e-5), (stage, task)
        for name, weight in load_file(whole / "model" / "model.safetensors").items():
            assert_close(weight, weights[name], rtol=1e-4, atol=1e-5)
        assert updates(halves) == updates(whole), stage
        assert remembered(halves) == remembered(whole), stage
        model = "model/model.safetensors"
        assert (halves / model).read_bytes() == (whole / model).read_bytes(), stage
