"""Frozen weights and learning rates by name: what moves, what is saved, and how a run goes on."""

from __future__ import annotations

import json
import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.tuning.freezing import freeze
from unified_vl.model.tuning.names import named_weights
from unified_vl.specs.load import load_run
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.checking import check
from unified_vl.training.checkpoint import write_manifest
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
TIMM = (
    "model.vision={kind: timm, backbone: test_efficientnet, feature_level: -1, "
    "image_size: [64, 64]}"
)
FROZEN = "freeze=['encoder.vision.*', '*.norm_self.weight']"


def make_run(squares: Path, output: Path, *more: str) -> Run:
    given = [f"output={output}", "steps=4", "optimizer.decay=constant", *more]
    return load_run(squares / "run.yaml", given)


def weights_of(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "model.safetensors")


def is_frozen(name: str) -> bool:
    return fnmatchcase(name, "encoder.vision.*") or fnmatchcase(name, "*.norm_self.weight")


@pytest.mark.parametrize("stage", ["zero0", "zero1", "zero2", "zero3", "zero0_bf16"])
def test_frozen_weights_stay_are_saved_and_a_resume_is_exact(
    stage: str, squares: Path, tmp_path: Path
) -> None:
    engine = f"engine={ENGINES / stage}.json"
    run = make_run(squares, tmp_path / "whole", FROZEN, engine, TIMM)
    begun = build(run).model.state_dict()
    if stage.endswith("bf16"):
        begun = {name: value.bfloat16().float() for name, value in begun.items()}
    train(run, progress=False)
    whole = weights_of(tmp_path / "whole")
    assert whole.keys() == begun.keys()
    for name, weight in whole.items():  # statistics of batch norms, too
        assert torch.equal(weight, begun[name].to(weight.dtype)) == is_frozen(name), name
    train(make_run(squares, tmp_path / "parts", FROZEN, engine, TIMM, "steps=2"), progress=False)
    again = make_run(squares, tmp_path / "parts", FROZEN, engine, TIMM)
    train(again, resume=True, progress=False)
    assert all(torch.equal(each, whole[n]) for n, each in weights_of(tmp_path / "parts").items())


def test_what_is_trained_is_told_and_recorded(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(squares, tmp_path, FROZEN, "steps=2")
    weights = named_weights(build(run).model)
    trained = sum(each.numel() for name, each in weights.items() if not is_frozen(name))
    every = sum(each.numel() for each in weights.values())
    train(run)
    assert f"training {trained:,} of {every:,} weights" in capsys.readouterr().err
    first = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])
    assert first == {"event": "trained", "step": 0, "trained": trained, "weights": every}


@pytest.fixture(scope="module")
def half_frozen(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("half_frozen") / "output"
    more = ("freeze=[encoder.blocks.0.*]", f"engine={ENGINES}/zero1.json", "steps=2")
    train(make_run(squares, output, *more), progress=False)
    return output


OTHERS: dict[str, Any] = {
    "of equal size": (
        "freeze=[encoder.blocks.1.*]",
        "trained encoder.blocks.1.*did not train encoder.blocks.0",
    ),
    "fewer": ("freeze=[encoder.blocks.*]", r"trained encoder.blocks.1.* now frozen or gone"),
    "more": (
        "freeze=[encoder.blocks.0.feed.*]",
        "did not train encoder.blocks.0.position_bias.weight, .* and 2 more",
    ),
    "none": ("freeze=[]", "a run that froze some of them"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_checkpoint_of_other_trained_weights_is_refused(
    case: str, squares: Path, half_frozen: Path, tmp_path: Path
) -> None:
    """DeepSpeed's own ZeRO 1 would read a freezing of equal size into the wrong weights."""
    shutil.copytree(half_frozen, tmp_path / "output")
    other, told = OTHERS[case]
    run = make_run(squares, tmp_path / "output", other, f"engine={ENGINES}/zero1.json")
    with pytest.raises(UserError, match=told):
        train(run, resume=True, progress=False)


def test_a_checkpoint_of_all_weights_does_not_go_on_with_some(
    squares: Path, tmp_path: Path
) -> None:
    train(make_run(squares, tmp_path, "steps=2"), progress=False)
    run = make_run(squares, tmp_path, "freeze=[encoder.blocks.0.*]")
    with pytest.raises(UserError, match="freeze: the checkpoint is of a run that trained all"):
        train(run, resume=True, progress=False)


def test_other_frozen_weights_are_refused(squares: Path, half_frozen: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shutil.copytree(half_frozen, output)
    for folder in (output / "checkpoints").glob("step-*"):  # as if they had been others
        path = folder / "progress.json"
        progress = json.loads(path.read_text())
        progress["weights"]["frozen"] = "0" * 64
        path.write_text(json.dumps(progress))
        (folder / "manifest.json").unlink()
        write_manifest(folder)
    more = ("freeze=[encoder.blocks.0.*]", f"engine={ENGINES}/zero1.json")
    with pytest.raises(UserError, match="not those that it was trained beside"):
        train(make_run(squares, output, *more), resume=True, progress=False)


BAD: dict[str, tuple[str, str]] = {
    "freeze=[encoder.visoin.*]": "encoder.visoin.*'.*did you mean 'encoder.vision.*'",
    "freeze=[encoder.vision]": "did you mean 'encoder.vision.*'",
    "freeze=[encoder.blocks.9.*]": "freeze.0: no weight is called 'encoder.blocks.9.*'",
    "freeze=['encoder.*', 'decoder.*', 'lm_head.*']": "freeze: all weights are frozen",
    "optimizer.lr_scales={encodr.*: 0.1}": "optimizer.lr_scales.encodr.*did you mean 'encoder.*'",
}


@pytest.mark.parametrize("key", BAD)
def test_patterns_that_match_nothing_are_told(key: str, squares: Path, tmp_path: Path) -> None:
    run = make_run(squares, tmp_path / "output", key)
    with pytest.raises(UserError) as raised:
        train(run, progress=False)
    message = str(raised.value)
    assert re.search(BAD[key], message), message
    assert "command line" in message
    found = check(run, leakage=False).findings[0]
    assert (found.field, found.message) == (raised.value.field, raised.value.message)
    assert not (tmp_path / "output" / "checkpoints").exists()


def test_a_tied_head_goes_by_the_name_of_the_embedding(squares: Path, tmp_path: Path) -> None:
    tied = make_run(squares, tmp_path, "model.tie_word_embeddings=true", "freeze=[lm_head.*]")
    with pytest.raises(UserError, match=r"'lm_head.weight' is tied to 'encoder.embedding.weight'"):
        build(tied)


def test_only_norms_whose_weights_are_all_frozen_stand_still() -> None:
    model = nn.ModuleDict(
        {
            "frozen": nn.BatchNorm1d(3),
            "partly": nn.BatchNorm1d(3),
            "bare": nn.BatchNorm1d(3, affine=False),
            "trained": nn.BatchNorm1d(3),
            "linear": nn.Linear(3, 3),
        }
    )
    freeze(model, ["frozen.*", "partly.bias"])
    model.train()
    assert {name: module.training for name, module in model.items()} == {
        "frozen": False,
        "partly": True,
        "bare": True,
        "trained": True,
        "linear": True,
    }


def test_learning_rates_by_name() -> None:
    model = nn.ModuleDict(
        {
            "vision": nn.Linear(4, 4),
            "names": nn.Embedding(5, 4),
            "low": nn.ModuleDict({"first": nn.Linear(4, 4), "second": nn.Linear(4, 4)}),
            "high": nn.Linear(4, 4),
        }
    )
    spec = OptimizerSpec(
        vision_lr_scale=3,
        embedding_lr_scale=2,
        lr_scales={"low.*": 0.5, "*.second.*": 0.25, "vision.bias": 7},
    )
    groups = build_optimizer(model, spec).param_groups
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    assert {name: scale[id(weight)] for name, weight in model.named_parameters()} == {
        "vision.weight": 3,
        "vision.bias": 7,  # in place of vision_lr_scale
        "names.weight": 2,
        "low.first.weight": 0.5,
        "low.first.bias": 0.5,
        "low.second.weight": 0.25,  # the last pattern counts
        "low.second.bias": 0.25,
        "high.weight": 1,
        "high.bias": 1,
    }


def test_a_scale_of_frozen_weights_alone_is_refused(squares: Path, tmp_path: Path) -> None:
    more = ("freeze=[encoder.*]", "optimizer.lr_scales={encoder.*: 0.1}")
    with pytest.raises(UserError, match=r"all weights called 'encoder\.\*' are frozen"):
        train(make_run(squares, tmp_path / "output", *more), progress=False)


def test_a_model_trained_beside_frozen_weights_answers(squares: Path, tmp_path: Path) -> None:
    folder = train(make_run(squares, tmp_path, FROZEN), progress=False)
    predictor = UnifiedVL.from_pretrained(folder)
    assert predictor.predict("say", text="rot", language="en").text is not None


def test_a_run_from_a_model_goes_on_with_its_frozen_weights(
    half_frozen: Path, squares: Path, tmp_path: Path
) -> None:
    """They are in no checkpoint: they are read again where the run began."""
    text = re.sub(
        r"model:\n(  .*\n)+",
        f"model: {{from: {half_frozen / 'model'}}}\nfreeze: [encoder.*]\n",
        (squares / "run.yaml").read_text(encoding="utf-8"),
    )
    text = text.replace("mixture: mixture.yaml", f"mixture: {squares}/mixture.yaml")
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")

    def run(name: str, steps: int) -> Run:
        keys = [f"output={tmp_path / name}", f"steps={steps}", "optimizer.decay=constant"]
        return load_run(tmp_path / "run.yaml", keys)

    train(run("whole", 4), progress=False)
    train(run("parts", 2), progress=False)
    train(run("parts", 4), resume=True, progress=False)
    whole, began = weights_of(tmp_path / "whole"), weights_of(half_frozen)
    for name, weight in weights_of(tmp_path / "parts").items():
        assert torch.equal(weight, whole[name]), name
        assert torch.equal(weight, began[name]) == name.startswith("encoder."), name


def test_a_checkpoint_without_its_frozen_weights_is_nothing_to_start_from(
    half_frozen: Path,
) -> None:
    folder = next((half_frozen / "checkpoints").glob("step-*"))
    with pytest.raises(UserError, match="not those that are frozen; expected a model of the run"):
        open_pretrained(folder)
