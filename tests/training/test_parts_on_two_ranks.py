"""A part of a model trained by two processes at every ZeRO stage: as by one, who then goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import run_ranks
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in range(4)]
WORKER = Path(__file__).with_name("worker.py")
SHORT = ["model.dropout_rate=0.0", "optimizer.decay=constant", "validation_rows=0"]
PARTS = {
    "frozen": ("freeze=[encoder.blocks.*, encoder.vision.*]", "encoder.[bv]*"),
    "adapters": ("lora={rank: 4, also_train: [lm_head.weight]}", "*feed*"),
}


def weights_of(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "model.safetensors")


@pytest.mark.parametrize("part", PARTS)
def test_two_processes_train_a_part_as_one_does_and_one_goes_on(
    part: str, squares: Path, tmp_path: Path
) -> None:
    key, frozen = PARTS[part]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *SHORT, key, "steps=2")
    alone = tmp_path / "alone"
    run = load_run(squares / "run.yaml", [f"output={alone}", *SHORT, key, "steps=4"])
    train(run, progress=False)
    expected = weights_of(alone)
    begun = build(load_run(squares / "run.yaml", SHORT)).model.state_dict()
    still = [name for name in expected if Path(name).match(frozen)]
    assert still
    for stage in STAGES:
        keys = [f"output={tmp_path / stage.stem}", f"engine={stage}", *SHORT, key, "steps=4"]
        train(load_run(squares / "run.yaml", keys), resume=True, progress=False)
        for name, weight in weights_of(tmp_path / stage.stem).items():
            torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-4)
            assert name not in still or torch.equal(weight, begun[name]), name
