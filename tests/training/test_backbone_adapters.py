"""Adapters beside models that `transformers` computes, and starts from their checkpoints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.model.backbones.models import CLASSES
from tests.training.backbone_runs import FAMILIES, STEPS, run_of, write_world
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.pretrained.trained_checkpoint import TrainedBackbone
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.trainer import train
from unified_vl.training.tuning.outline import outline

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
EMBEDDING = {
    "t5gemma2": "model.model.encoder.text_model.embed_tokens.weight",
    "florence2": "model.model.language_model.shared.weight",
    "bart": "model.model.shared.weight",
}
LAYERS = {  # of attention: the decoder of T5Gemma 2 has one a layer, of others two
    "t5gemma2": 2 * 4 + 2 * 4,
    "florence2": 4 + 2 * 8,
    "bart": 4 + 2 * 8,
}


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares)


def lora(family: str, more: str = "") -> str:
    return f"lora={{rank: 4, also_train: [{EMBEDDING[family]}]{more}}}"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_targets_are_the_attention_of_the_text_model(
    world: Path, tmp_path: Path, family: str
) -> None:
    weights, _ = outline(run_of(world, family, tmp_path, lora(family)))
    trained = {each.name for each in weights if each.lr_scale is not None}
    layers = {name.rpartition(".lora_")[0] for name in trained if ".lora_" in name}
    assert len(layers) == LAYERS[family]
    assert not [name for name in layers if "vision" in name]
    assert {name for name in trained if ".lora_" not in name} == {EMBEDDING[family]}


@pytest.mark.parametrize(
    ("family", "stage"),
    [("t5gemma2", "zero3"), ("florence2", "zero2"), ("bart", "zero0")],
)
def test_it_trains_resumes_to_the_bit_and_is_saved_merged_or_alone(
    world: Path, tmp_path: Path, family: str, stage: str
) -> None:
    keys = (*STEPS, f"engine={ENGINES / stage}.json")
    merged, alone = lora(family), lora(family, ", save: adapter")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(run_of(world, family, whole, *keys, merged), progress=False)
    train(run_of(world, family, halves, *keys, "steps=2", alone), progress=False)
    train(run_of(world, family, halves, *keys, alone), resume=True, progress=False)
    begun = build(beginning_of(run_of(world, family, whole), resume=False)).model.state_dict()
    expected = load_file(whole / "model" / "model.safetensors")
    for name, weight in expected.items():
        ours = name if name.startswith("vision.") else f"model.{name}"
        moved = "_proj." in name and name.endswith("weight") and "vision" not in name
        moved &= "mlp" not in name and "lora" not in name
        assert torch.equal(weight, begun[ours]) != (moved or ours == EMBEDDING[family]), name

    folder = halves / "model"
    assert not (folder / "model.safetensors").exists()
    opened = load_model(folder).model.state_dict()
    for name, weight in load_model(whole / "model").model.state_dict().items():
        torch.testing.assert_close(opened[name], weight, rtol=1e-5, atol=1e-6, msg=name)
    answers = [
        UnifiedVL.from_pretrained(f / "model").predict("say", text="rot", language="en").text
        for f in (whole, halves)
    ]
    assert answers[0] == answers[1]

    kind = getattr(transformers, f"{CLASSES[family]}ForConditionalGeneration")
    _, told = kind.from_pretrained(whole / "model", output_loading_info=True)
    assert not told["missing_keys"]
    from peft import PeftModel

    base = kind.from_pretrained(world / family / "checkpoint")
    theirs = PeftModel.from_pretrained(base, str(folder)).merge_and_unload().state_dict()
    compared = [name for name in theirs if "_proj.weight" in name and name in expected]
    assert compared
    for name in compared:
        torch.testing.assert_close(theirs[name], expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_new_rows_that_stay_as_drawn_are_told(
    world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = (
        r"(\d+) new rows of the vocabulary will stay as drawn, as model\.model\.shared\.weight is"
    )
    for keys, warned in (("lora={rank: 4}", True), (lora("bart"), False)):
        train(run_of(world, "bart", tmp_path / str(warned), *STEPS, "steps=1", keys))
        said = capfd.readouterr()
        assert bool(re.search(told, said.out + said.err)) == warned


def test_a_base_of_another_kind_is_told(world: Path, tmp_path: Path, squares: Path) -> None:
    from unified_vl.specs.load import load_run

    own = load_run(squares / "run.yaml", [f"output={tmp_path / 'own'}", "steps=1"])
    train(own, progress=False)
    keys = [*STEPS, "steps=1", lora("bart", ", save: adapter")]
    folder = train(run_of(world, "bart", tmp_path / "bart", *keys), progress=False)
    path = folder / "adapter.json"
    base = str(tmp_path / "own" / "model")
    path.write_text(json.dumps({**json.loads(path.read_text()), "base": base}))
    with pytest.raises(UserError, match=r"adapter.json.*: base: .* is not a model that"):
        load_model(folder)


@pytest.mark.parametrize(
    ("family", "stage"),
    [("t5gemma2", "zero0"), ("florence2", "zero3"), ("bart", "zero2")],
)
def test_a_training_checkpoint_can_be_started_from(
    world: Path, tmp_path: Path, family: str, stage: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keys = (*STEPS, "steps=2", f"engine={ENGINES / stage}.json")
    train(run_of(world, family, first, *keys), progress=False)
    (checkpoint,) = (first / "checkpoints").glob("step-*2")
    assert isinstance(open_pretrained(checkpoint), TrainedBackbone)
    states, starts = [], []
    for source in (checkpoint, first / "model"):
        parts = build(
            beginning_of(run_of(world, family, second, f"model.from={source}"), resume=False)
        )
        states.append(parts.model.state_dict())
        starts.append(parts.start)
    assert starts[0] is not None and starts[1] is not None
    assert starts[0].fresh == [] and starts[0].new == []
    assert starts[0].rows == starts[1].rows
    for name, weight in states[0].items():
        assert torch.equal(weight, states[1][name]), name


def test_a_checkpoint_of_adapters_is_no_start(world: Path, tmp_path: Path) -> None:
    run = run_of(world, "bart", tmp_path / "first", *STEPS, "steps=1", lora("bart"))
    train(run, progress=False)
    (checkpoint,) = (tmp_path / "first" / "checkpoints").glob("step-*1")
    with pytest.raises(UserError, match="holds the weights that its run trains"):
        open_pretrained(checkpoint)
