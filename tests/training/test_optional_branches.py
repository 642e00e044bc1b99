"""Branches that some updates do not use: their weights move as if their gradient were zero."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import run_ranks

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in range(4)]
WORKER = Path(__file__).with_name("branches_worker.py")


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def updates(
    request: pytest.FixtureRequest,
    squares: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A file for each stage, and one of torch alone."""
    folder: Path = tmp_path_factory.mktemp("branches")
    run_ranks(WORKER, squares / "run.yaml", folder, *STAGES, world=request.param)
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
