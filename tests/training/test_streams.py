"""Training an encoder of two streams: ranks, a start from it, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.processes import run_ranks
from unified_vl.errors import UserError
from unified_vl.export.ctranslate2_directory import write_ctranslate2
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.retriever import Retriever
from unified_vl.inference.saved_models.as_t5 import write_t5
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.pretrained.architecture import known_start
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.trainer import train

WORKER = Path(__file__).with_name("worker.py")
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
STREAMS = ["model.encoder={kind: two_streams, cross_layers: 1}"]
SHORT = [*STREAMS, "model.dropout_rate=0.0", "steps=4", "checkpoint_every=2"]


def numbers(output: Path) -> list[list[Any]]:
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [[e["task"], e["loss"], e["grad_norm"]] for e in events if e["event"] == "step"]


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("streams") / "alone"
    train(load_run(squares / "run.yaml", [f"output={output}", *SHORT]), progress=False)
    return output


def test_two_ranks_are_as_one(squares: Path, trained: Path, tmp_path: Path) -> None:
    """Some updates read no image: its stream is not of use then, and cross-modal layers neither."""
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *SHORT)
    expected = numbers(trained)
    assert {task for task, *_ in expected} == {"see", "say"}
    for stage in STAGES:
        for own, other in zip(numbers(tmp_path / stage.stem), expected, strict=True):
            assert own[1:] == pytest.approx(other[1:], rel=1e-5), stage.stem
        assert_close(
            load_file(tmp_path / stage.stem / "model" / "model.safetensors"),
            load_file(trained / "model" / "model.safetensors"),
            rtol=1e-3,
            atol=1e-4,
        )


def test_a_resume_is_exact(squares: Path, trained: Path, tmp_path: Path) -> None:
    run = [f"output={tmp_path / 'out'}", *SHORT, "optimizer.decay=constant"]
    train(load_run(squares / "run.yaml", [*run, "steps=2"]), progress=False)
    train(load_run(squares / "run.yaml", run), resume=True, progress=False)
    whole = tmp_path / "whole"
    train(load_run(squares / "run.yaml", [*run, f"output={whole}"]), progress=False)
    files = [output / "model" / "model.safetensors" for output in (tmp_path / "out", whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_saved_model_answers_and_retrieves(
    squares: Path, trained: Path, tmp_path: Path
) -> None:
    model = UnifiedVL.from_pretrained(trained / "model")
    assert model.predict("see", image=str(squares / "data" / "red.png")).text is not None
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in ("red", "blue"):
        shutil.copy(squares / "data" / f"{colour}.png", photos)
    assert len(Retriever.build(model, photos).search("red", "en", top=2)) == 2


@pytest.mark.parametrize("key", ["packing", "compile"])
def test_padding_is_read_by_plain_layers(squares: Path, key: str) -> None:
    run = load_run(squares / "run.yaml", [*STREAMS, f"{key}=true"])
    with pytest.raises(UserError, match=f"{key}: an encoder of two streams reads padded rows"):
        build(run)


def test_a_joint_encoder_does_not_start_from_it(squares: Path, trained: Path) -> None:
    start = ["model={}", f"model.from={trained / 'model'}", "model.encoder={kind: joint}"]
    said = 'model.encoder.kind: found "joint", but the model .* has "two_streams"'
    with pytest.raises(UserError, match=said):
        known_start(load_run(squares / "run.yaml", start))


def test_no_layer_of_a_teacher_is_like_one_of_two_streams(squares: Path, trained: Path) -> None:
    teacher = f"teacher={{model: {trained / 'model'}, hidden: 1.0}}"
    with pytest.raises(UserError, match=r"teacher\.hidden: of an encoder of two streams"):
        build(load_run(squares / "run.yaml", [teacher]))


@pytest.mark.parametrize("write", [write_t5, write_ctranslate2])
def test_it_is_written_as_no_t5(trained: Path, tmp_path: Path, write: Any) -> None:
    if write is write_ctranslate2:
        pytest.importorskip("ctranslate2")
    said = "model.encoder: a model whose encoder has two streams cannot be written as a T5"
    with pytest.raises(UserError, match=said):
        write(load_model(trained / "model"), tmp_path / "t5")
    assert not list(tmp_path.iterdir())
