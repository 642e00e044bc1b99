"""Building a run's parts, and what cannot be built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.record.fingerprints import fingerprints


def test_the_parts_are_those_of_the_run(squares: Path) -> None:
    parts = build(load_run(squares / "run.yaml"))
    assert list(parts.specs) == list(parts.streams) == ["see", "say"]
    assert parts.weights == {"see": 1.0, "say": 0.5}
    assert {task: list(each) for task, each in parts.objectives.items()} == {
        "see": ["contrast"],
        "say": [],
    }
    assert parts.objectives["see"]["contrast"].weight == 0.5
    assert parts.schedule.batches == {"see": 2, "say": 1}
    assert list(parts.validation) == ["see"]  # `say` has no validation split
    assert parts.model.config.vocab_size == parts.codec.vocabulary.size
    assert parts.codec.image_tokens == 4
    batch = parts.streams["see"].batch(0)
    assert batch.pixel_values_NCHW is not None and batch.pixel_values_NCHW.shape == (4, 3, 8, 8)


def test_weights_are_a_function_of_the_seed(squares: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.rand(seed + 1)
        return build(load_run(squares / "run.yaml", [f"seed={seed}"])).model.lm_head.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_validation_can_be_left_out(squares: Path) -> None:
    assert build(load_run(squares / "run.yaml", ["validation_rows=0"])).validation == {}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("max_source_tokens=4", "command line: max_source_tokens: an image alone takes 4 tokens"),
        ("tokenizer=/nowhere", "command line: tokenizer: '/nowhere' does not exist"),
        ("data=/nowhere", "command line: data: '/nowhere' does not exist"),
        ("model.vision={kind: timm, backbone: resnet19}", "command line: model.vision.backbone: "),
    ],
)
def test_what_cannot_be_built_says_why(squares: Path, override: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        build(load_run(squares / "run.yaml", [override]))
    assert re.search(told, str(error.value)), str(error.value)


def test_a_fingerprint_changes_with_what_it_stands_for(squares: Path) -> None:
    def prints(*overrides: str) -> dict[str, str]:
        run = load_run(squares / "run.yaml", overrides)
        return fingerprints(run, build(run))

    before = prints()
    assert before == prints("steps=99", "output=/elsewhere", "log_every=7", "optimizer.lr=0.1")
    for changed, after in (
        ("seed", prints("seed=9")),
        ("batch_size", prints("batch_size=8")),
        ("model", prints("model.num_layers=1")),
    ):
        assert {key for key in before if before[key] != after[key]} == {changed}
