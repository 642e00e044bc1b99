"""Gradients of the tasks, measured beside the training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from unified_vl.errors import UserError
from unified_vl.run_record import ALL_WEIGHTS, GradientsEvent, event_of
from unified_vl.specs.load import load_run
from unified_vl.training.balancing.conflicts import cosines
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
MEASURED = "gradient_conflicts={every: 2}"
SHORT = ["steps=4", "validation_rows=0", "checkpoint_every=2", "accumulate=2"]


def events(output: Path, kind: str) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    found = [event for event in map(json.loads, lines) if event["event"] == kind]
    for event in found:
        event.pop("seconds", None)
        event.pop("speed", None)
    return found


def state(output: Path) -> dict[str, torch.Tensor]:
    folder = output / "checkpoints" / "step-00000004" / "state"
    return {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}


def run_of(squares: Path, output: Path, *more: str) -> Any:
    return load_run(squares / "run.yaml", [f"output={output}", *SHORT, *more])


@pytest.mark.parametrize("engine", ["zero0", "zero1_bf16"])
def test_it_changes_nothing_that_is_trained(engine: str, squares: Path, tmp_path: Path) -> None:
    file = f"engine={ENGINES / engine}.json"
    train(run_of(squares, tmp_path / "plain", file), progress=False)
    measured = tmp_path / "measured"
    train(run_of(squares, measured, file, MEASURED, "steps=2"), progress=False)
    train(run_of(squares, measured, file, MEASURED), resume=True, progress=False)
    assert events(measured, "step") == events(tmp_path / "plain", "step")
    before, after = state(tmp_path / "plain"), state(measured)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    told = events(measured, "gradients")
    assert [event["step"] for event in told] == [1, 3]  # the resume repeats none
    for event in told:
        assert event["tasks"] == ["see", "say"]
        groups = {ALL_WEIGHTS, "embedding", "image branch", "encoder.blocks.1", "decoder.blocks.0"}
        assert groups <= set(event["norms"])
        square = event["cosines"][ALL_WEIGHTS]
        assert square[0][0] == pytest.approx(1) and square[0][1] == square[1][0]
        assert -1 <= square[0][1] < 1
        assert event["cosines"]["image branch"][0][1] is None  # a text has no part in it
        whole, parts = event["norms"].pop(ALL_WEIGHTS), event["norms"].values()
        for number, norm in enumerate(whole):
            assert norm**2 == pytest.approx(sum(each[number] ** 2 for each in parts), rel=1e-4)


def test_the_norm_is_that_of_an_update(squares: Path, tmp_path: Path) -> None:
    """With `clip: null` and no dropout the first step's norm is the one that is recorded."""
    keys = [MEASURED, "clip=null", "model.dropout_rate=0", "steps=1"]
    train(run_of(squares, tmp_path / "out", *keys), progress=False)
    (step,), (told,) = events(tmp_path / "out", "step"), events(tmp_path / "out", "gradients")
    assert told["norms"][ALL_WEIGHTS][told["tasks"].index(step["task"])] == pytest.approx(
        step["grad_norm"], rel=1e-5
    )
    assert isinstance(event_of(told), GradientsEvent)


def test_zero_3_is_refused_at_the_key(squares: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gradient_conflicts: ZeRO 3 shards the parameters"):
        run_of(squares, tmp_path, MEASURED, f"engine={ENGINES / 'zero3.json'}")


def test_cosines_of_what_is_zero_or_no_number_are_none() -> None:
    products_TT = torch.tensor([[4.0, 0.0, -2.0], [0.0, 0.0, 0.0], [-2.0, 0.0, 1.0]]).double()
    assert cosines(products_TT) == [[1, None, -1], [None, None, None], [-1, None, 1]]
    assert cosines(torch.full((2, 2), torch.nan)) == [[None, None], [None, None]]
