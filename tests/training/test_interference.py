"""What `benchmarks/interference.py` says of two tasks."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from unified_vl.errors import UserError
from unified_vl.run_record import ALL_WEIGHTS
from unified_vl.specs.load import load_run
from unified_vl.training.trainer import train

FOLDER = Path(__file__).parents[2] / "benchmarks"
SHORT = ["steps=4", "checkpoint_every=4", "keep_best=false"]
RATE = 1e-3


@pytest.fixture
def interference(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("interference")


def test_a_run_is_measured_where_it_stands(
    interference: Any, squares: Path, tmp_path: Path
) -> None:
    run = load_run(squares / "run.yaml", [f"output={tmp_path / 'out'}", *SHORT])
    train(run, progress=False)
    checkpoint = interference.checkpoint_of(run.output)
    assert checkpoint.name == "step-00000004"
    opened = interference.Measurement(squares / "run.yaml", checkpoint, 3, RATE)
    with contextlib.closing(opened) as measurement:
        before = {name: weight.detach().clone() for name, weight in measurement.weights.items()}
        kept = load_file(run.output / "model" / "model.safetensors")
        assert all(torch.allclose(weight, kept[name].float()) for name, weight in before.items())
        found = measurement.measure()
        assert found.tasks == ["see", "say"]
        after = measurement.weights
        assert all(torch.equal(weight, before[name]) for name, weight in after.items())

    whole = found.squares.pop(ALL_WEIGHTS)
    for number, of_task in enumerate(whole):
        assert of_task == pytest.approx(1)
        parts = sum(shares[number] for shares in found.squares.values())
        assert parts == pytest.approx(1, abs=1e-4)
    assert found.squares["image branch"][1] == 0  # a text has no part in it
    # so that its second moments are half of what the other task would have alone
    assert found.reach["image branch"] == pytest.approx([2**0.5, 0], abs=1e-3)
    assert found.validated == ["see"] and len(found.losses) == 1
    assert len(found.changes) == 2
    assert found.changes[0][0] < 0  # a task's own updates are for it
    assert found.changes[1][0] != 0  # those of the other change what both read with

    tables = interference.as_tables(found, 3)
    assert "| image branch | 1.41 | 0.00 |" in tables and "by 3 updates of" in tables


def test_a_run_without_a_checkpoint_is_refused(interference: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no checkpoint"):
        interference.checkpoint_of(tmp_path)
