"""A model learns from a teacher: the same on any ranks and ZeRO stages, however it is computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import run_ranks
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 3)]
WORKER = Path(__file__).with_name("worker.py")
SHORT = ["model.dropout_rate=0.0", "optimizer.decay=constant", "validation_rows=0", "steps=3"]
LARGE = ["model.d_model=40", "model.num_layers=3", "model.num_decoder_layers=3", "seed=5"]
ALL = "logits: 1.0, hidden: 0.5, attention: 0.5"


@pytest.fixture(scope="module")
def teacher(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A larger model of the same tasks, with other heads, after a few steps."""
    output = tmp_path_factory.mktemp("teacher")
    keys = [f"output={output}", *SHORT, *LARGE, "model.num_heads=5", "steps=8"]
    return train(load_run(squares / "run.yaml", keys), progress=False)


def trained(squares: Path, output: Path, teacher: Path, *more: str, learnt: str = ALL) -> Path:
    keys = [f"output={output}", *SHORT, f"teacher={{model: {teacher}, {learnt}}}", *more]
    return train(load_run(squares / "run.yaml", keys), progress=False)


def weights_of(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "model.safetensors")


def losses_of(output: Path) -> list[Any]:
    """What of the teacher is learnt, of each step and task."""
    lines = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [
        (
            (each["step"], each["task"]),
            {key: value for key, value in each.items() if key.startswith("teacher_")},
        )
        for each in lines
        if each["event"] == "step"
    ]


@pytest.fixture(scope="module")
def alone(squares: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one process, on padded batches."""
    output = tmp_path_factory.mktemp("alone")
    trained(squares, output, teacher)
    return output


def test_a_saved_model_has_nothing_of_the_teacher_and_answers(squares: Path, alone: Path) -> None:
    plain = set(build(load_run(squares / "run.yaml", SHORT)).model.state_dict())
    assert set(weights_of(alone)) == plain
    assert UnifiedVL.from_pretrained(alone / "model").tasks


def test_the_record_has_each_loss_by_name(alone: Path) -> None:
    for _, found in losses_of(alone):
        assert set(found) == {"teacher_logits", "teacher_hidden", "teacher_attention"}
        assert all(value > 0 for value in found.values())


def test_two_processes_learn_as_one_does(
    squares: Path, teacher: Path, alone: Path, tmp_path: Path
) -> None:
    key = f"teacher={{model: {teacher}, {ALL}}}"
    run_ranks(WORKER, squares / "run.yaml", tmp_path, *STAGES, *SHORT, key)
    for stage in STAGES:
        output = tmp_path / stage.stem
        for name, weight in weights_of(output).items():
            torch.testing.assert_close(weight, weights_of(alone)[name], rtol=1e-3, atol=1e-4)
        for (own, found), (place, expected) in zip(
            losses_of(output), losses_of(alone), strict=True
        ):
            assert own == place
            assert found == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("way", ["packing=true", "accumulate=2", "engine=zero2.json"])
def test_however_a_batch_is_computed_the_same_is_learnt(
    way: str, squares: Path, teacher: Path, tmp_path: Path
) -> None:
    """Contrast compares within a part, so there is none of it here."""
    way = way.replace("zero", str(ENGINES / "zero"))
    mixture = f"mixture={squares / 'joint.yaml'}"
    for name, keys in (("plain", ()), ("other", (way,))):
        trained(squares, tmp_path / name, teacher, mixture, *keys)
    for name, weight in weights_of(tmp_path / "other").items():
        expected = weights_of(tmp_path / "plain")[name]
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_an_interrupted_run_is_bit_identical(
    dropout: float, squares: Path, teacher: Path, tmp_path: Path
) -> None:
    rate, every = f"model.dropout_rate={dropout}", "checkpoint_every=2"
    trained(squares, tmp_path / "whole", teacher, rate, every, "steps=4")
    trained(squares, tmp_path / "begun", teacher, rate, every, "steps=2")
    keys = [*SHORT, f"teacher={{model: {teacher}, {ALL}}}", rate, every, "steps=4"]
    run = load_run(squares / "run.yaml", [f"output={tmp_path / 'begun'}", *keys])
    train(run, resume=True, progress=False)
    for name, weight in weights_of(tmp_path / "begun").items():
        assert torch.equal(weight, weights_of(tmp_path / "whole")[name]), name


def test_another_teacher_is_another_run(squares: Path, teacher: Path, tmp_path: Path) -> None:
    own = shutil.copytree(teacher, tmp_path / "teacher")
    trained(squares, tmp_path / "out", own, "steps=2")
    own.rename(tmp_path / "moved")  # the same files elsewhere are the same teacher
    keys = [f"output={tmp_path / 'out'}", *SHORT, "steps=3"]
    moved = f"teacher={{model: {tmp_path / 'moved'}, {ALL}}}"
    train(load_run(squares / "run.yaml", [*keys, moved]), resume=True, progress=False)
    for other in (moved.replace("hidden: 0.5", "hidden: 0.4"), "teacher=null"):
        run = load_run(squares / "run.yaml", [*keys, other, "steps=4"])
        with pytest.raises(UserError, match=r"teacher.*: this checkpoint is of another run"):
            train(run, resume=True, progress=False)


def test_a_run_starts_from_a_checkpoint_of_one_with_a_teacher(alone: Path, squares: Path) -> None:
    keys = [f"model={{from: {alone / 'checkpoints' / 'step-00000003'}}}", *SHORT]
    run = load_run(squares / "run.yaml", keys)
    found = build(beginning_of(run, resume=False)).model.state_dict()
    for name, weight in weights_of(alone).items():
        assert torch.equal(weight, found[name]), name


@pytest.mark.parametrize("learnt", ["logits: 4.0", "hidden: 4.0", "attention: 4.0"])
def test_each_loss_alone_brings_the_student_nearer(
    learnt: str, squares: Path, teacher: Path, tmp_path: Path
) -> None:
    trained(squares, tmp_path / "out", teacher, "steps=24", learnt=learnt)
    name = f"teacher_{learnt.partition(':')[0]}"
    losses = [each[name] for _, each in losses_of(tmp_path / "out")]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


def test_chunks_of_a_large_vocabulary_teach_the_same(
    squares: Path, teacher: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unified_vl.model.backbone.FEWEST_WORDS", 1)
    monkeypatch.setattr("unified_vl.model.learning.teacher_logits.CHUNK", 1500)
    trained(squares, tmp_path / "out", teacher)
    for name, weight in weights_of(tmp_path / "out").items():
        torch.testing.assert_close(weight, weights_of(alone)[name], rtol=1e-3, atol=1e-4)


def other_tokenizer(folder: Path) -> None:
    config = folder / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "vocabulary_fingerprint": "another"}))


def other_images(folder: Path) -> None:
    config = folder / "config.json"
    values = json.loads(config.read_text())
    values["vision"]["image_size"] = [12, 8]
    config.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "is no saved model"),
        (other_tokenizer, "cannot teach this model: another vocabulary"),
        (other_images, r"cannot teach this model: image size: \[12, 8\], not \[8, 8\]"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    spoil: Any, says: str, squares: Path, teacher: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(teacher, tmp_path / "teacher")
    spoil(own)
    with pytest.raises(UserError, match=says) as told:
        trained(squares, tmp_path / "out", own)
    assert told.value.field == "teacher.model"
    assert not (tmp_path / "out").exists()
