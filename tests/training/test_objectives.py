"""What holds for all objectives: precision, and models that have not what they need."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.training.backbone_runs import run_of, write_world
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
PACKED = "model.vision={kind: patches, image_size: [8, 8], patch_size: 4, fit: pack}"
ALL = {
    "contrast": 0.5,
    "contrast_queue": 4,
    "contrast_within": 0.5,
    "matching": 0.5,
    "alignment": 0.5,
    "momentum_distillation": 0.3,
    "adversarial": {"weight": 0.5, "steps": 2},
}
LOSSES = [key for key in ALL if not key.startswith("contrast_")]


def mixture(squares: Path, folder: Path, asked: dict[str, Any]) -> str:
    tasks = [{"spec": str(squares / "see.yaml"), **asked}]
    said = {"mixture": "objectives", "version": 1, "tasks": tasks}
    (folder / "mixture.yaml").write_text(json.dumps(said))
    return f"mixture={folder / 'mixture.yaml'}"


def updates(squares: Path, folder: Path, engine: str) -> list[dict[str, float]]:
    """Two, of all objectives at once; in the second the copy is another than the weights."""
    keys = [mixture(squares, folder, ALL), f"output={folder / engine}", "validation_rows=0"]
    keys += [f"engine={ENGINES / engine}.json", "model.dropout_rate=0.0", "steps=2"]
    train(load_run(squares / "run.yaml", keys), progress=False)
    lines = map(json.loads, (folder / engine / "events.jsonl").read_text().splitlines())
    steps = [each for each in lines if each["event"] == "step"]
    return [{key: step[key] for key in ("loss", "grad_norm", *LOSSES)} for step in steps]


def test_in_bf16_all_are_numbers_and_near_those_of_fp32(squares: Path, tmp_path: Path) -> None:
    exact, found = (updates(squares, tmp_path, e) for e in ("zero0", "zero0_bf16"))
    for step in found:
        assert all(map(math.isfinite, step.values()))
    assert found[0] == pytest.approx(exact[0], rel=0.01, abs=0.01)
    assert exact[1]["momentum_distillation"] > 0.01 < found[1]["momentum_distillation"]


@pytest.mark.parametrize("name", ["matching", "alignment"])
def test_pairs_of_packed_images_are_refused(squares: Path, tmp_path: Path, name: str) -> None:
    said = (
        rf"model\.vision\.fit: `{name}` of a task reads images with captions, and cannot where "
        r"they are packed; expected another way to fit images"
    )
    run = load_run(squares / "run.yaml", [mixture(squares, tmp_path, {name: 0.5}), PACKED])
    with pytest.raises(UserError, match=said):
        build(run)


def test_matching_needs_a_head(squares: Path, tmp_path: Path) -> None:
    """Which a model of `transformers` has not."""
    world = write_world(tmp_path, squares, ("bart",))
    asked = mixture(squares, tmp_path, {"matching": 0.5})
    said = r"model\.from: `matching` of a task needs a head, which a backbone of `transformers` has"
    run = run_of(world, "bart", tmp_path / "out", asked)
    with pytest.raises(UserError, match=said):
        build(beginning_of(run, resume=False))
