"""Branches that some updates do not use: their weights move as if their gradient were zero."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in range(4)]
WORKER = Path(__file__).with_name("branches_worker.py")


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def updates(
    request: pytest.FixtureRequest,
    squares: Path,
    tmp_path_factory: pytest.TempPathFactory,
    free_port: int,
) -> Path:
    """A file for each stage, and one of torch alone."""
    folder: Path = tmp_path_factory.mktemp("branches")
    command = [sys.executable]
    if request.param > 1:
        launcher = shutil.which("deepspeed", path=str(Path(sys.executable).parent))
        assert launcher is not None
        command += [launcher, "--num_gpus=2", f"--master_port={free_port}", "--quiet"]
    arguments = [str(squares / "run.yaml"), str(folder), *map(str, STAGES)]
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(WORKER), *arguments], check=True, env=environment, timeout=600)
    return folder


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.stem)
def test_every_stage_moves_unused_weights_as_adamw_does_those_without_a_gradient(
    updates: Path, stage: Path
) -> None:
    """ZeRO 3 alone would apply the gradient of the update before a second time."""
    expected = load_file(updates / "torch.safetensors")
    found = load_file(updates / f"{stage.stem}.safetensors")
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-4, atol=1e-5, msg=name)
