"""The gradient of each task alone on two processes: as on one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run_ranks
from unified_vl.specs.load import load_run
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
WORKER = Path(__file__).with_name("worker.py")
KEYS = ["steps=2", "validation_rows=0", "model.dropout_rate=0", "gradient_conflicts={every: 1}"]


def measured(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "gradients"]


def test_two_processes_measure_what_one_does(squares: Path, tmp_path: Path) -> None:
    stages = [ENGINES / f"zero{stage}.json" for stage in (1, 2)]
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *stages, *KEYS)
    train(load_run(squares / "run.yaml", [f"output={tmp_path / 'alone'}", *KEYS]), progress=False)
    expected = measured(tmp_path / "alone")
    assert len(expected) == 2
    for stage in stages:
        found = measured(tmp_path / stage.stem)
        for event, wanted in zip(found, expected, strict=True):
            # the contrast of a part is that of the rows of both ranks
            assert event["norms"].keys() == wanted["norms"].keys()
            for group, norms in event["norms"].items():
                assert norms == pytest.approx(wanted["norms"][group], rel=2e-3, abs=1e-4), group
                for row, other in zip(
                    event["cosines"][group], wanted["cosines"][group], strict=True
                ):
                    for value, want in zip(row, other, strict=True):
                        assert (value is None) == (want is None)
                        assert value is None or value == pytest.approx(want, abs=5e-3), group
