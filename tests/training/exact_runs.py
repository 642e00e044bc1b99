"""What runs with an objective must keep: a resume is exact, and ranks learn as one process does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.processes import run_ranks
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")


def numbers(output: Path, objective: str) -> dict[tuple[int, str], list[float]]:
    """Loss, norm and, where a step has it, the objective; by step and task."""
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return {
        (e["step"], e["task"]): [e[k] for k in ("loss", "grad_norm", objective) if k in e]
        for e in events
        if e["event"] == "step"
    }


def assert_resumes_exactly(run: Path, keys: Sequence[str], objective: str, folder: Path) -> None:
    """Four steps in one go are, to the last bit, two and two more."""

    def of(name: str, *more: str) -> Run:
        settings = ("optimizer.decay=constant", "steps=4", *more)
        return load_run(run, [f"output={folder / name}", *keys, *settings])

    train(of("whole"), progress=False)
    train(of("out", "steps=2"), progress=False)
    train(of("out"), resume=True, progress=False)
    assert numbers(folder / "out", objective) == numbers(folder / "whole", objective)
    one, other = (
        load_file(folder / name / "model" / "model.safetensors") for name in ("whole", "out")
    )
    assert_close(one, other, rtol=0, atol=0)


def assert_ranks_are_as_one(
    run: Path,
    keys: Sequence[str],
    objective: str,
    folder: Path,
    stages: Sequence[Path],
    more: Sequence[str] = (),
) -> None:
    """Two ranks at each stage, with `more` keys, have the numbers of one process without."""
    settings = ["model.dropout_rate=0.0", "steps=4", "checkpoint_every=100"]
    alone = load_run(run, [f"output={folder / 'alone'}", *keys, *settings])
    train(alone, progress=False)
    run_ranks(WORKER, run, folder, *stages, *keys, *settings, *more)
    expected = numbers(folder / "alone", objective)
    assert any(len(values) == 3 for values in expected.values())
    for stage in stages:
        found = numbers(folder / stage.stem, objective)
        assert found.keys() == expected.keys()
        for step, values in found.items():
            bound = pytest.approx(expected[step], rel=1e-4, abs=1e-5)
            assert values == bound, (stage.stem, step)
