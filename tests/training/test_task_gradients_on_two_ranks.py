"""The gradients of tasks on two processes, measured and put together: as on one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.processes import run_ranks
from unified_vl.specs.load import load_run
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
WORKER = Path(__file__).with_name("worker.py")
KEYS = [
    *("steps=2", "validation_rows=0", "model.dropout_rate=0", "gradient_conflicts={every: 1}"),
    *("optimizer.eps=1e-3", "optimizer.decay=constant"),
]


def measured(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "gradients"]


def test_two_processes_measure_and_combine_as_one_does(squares: Path, tmp_path: Path) -> None:
    for name in ("see.yaml", "say.yaml"):
        shutil.copy(squares / name, tmp_path / name)
    text = (squares / "joint.yaml").read_text(encoding="utf-8")
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(f"{text}balance: {{kind: pcgrad}}\n", encoding="utf-8")
    keys, alone = [*KEYS, f"mixture={mixture}"], tmp_path / "alone"
    stages = [ENGINES / f"zero{stage}.json" for stage in (1, 2)]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *stages, *keys)
    train(load_run(squares / "run.yaml", [f"output={alone}", *keys]), progress=False)
    expected = measured(alone)
    weights = load_file(alone / "model" / "model.safetensors")
    assert len(expected) == 2
    for stage in stages:
        found = measured(tmp_path / stage.stem)
        for name, weight in load_file(tmp_path / stage.stem / "model/model.safetensors").items():
            assert_close(weight, weights[name], rtol=1e-4, atol=1e-5)
        for event, wanted in zip(found, expected, strict=True):
            assert event["norms"].keys() == wanted["norms"].keys()
            for group, norms in event["norms"].items():
                assert norms == pytest.approx(wanted["norms"][group], rel=1e-4, abs=1e-5), group
                for row, other in zip(
                    event["cosines"][group], wanted["cosines"][group], strict=True
                ):
                    for value, want in zip(row, other, strict=True):
                        assert (value is None) == (want is None)
                        assert value is None or value == pytest.approx(want, abs=1e-4), group
