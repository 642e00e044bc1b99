"""Trainings whose image branch starts from weights, frozen or not, at ZeRO 0 to 3, saved and
resumed; and the page that says how."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image as PILImage
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from tests.public_checkpoints import checkpoint
from tests.public_tokenizers import t5_tokenizer
from tests.training.test_extending import a_run, losses
from unified_vl import UnifiedVL, train
from unified_vl.authoring.checking.tokens import sizes_of, started
from unified_vl.errors import UserError
from unified_vl.kinds.hooks.fits import Pack
from unified_vl.specs.reading.document import Document
from unified_vl.specs.reading.parse import parse_text, validate
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/pretrained_vision.md").read_text(encoding="utf-8")
CONFIGS = ROOT / "deepspeed_configs"
BRANCH = "encoder.vision.features.backbone."
VISION = "{kind: timm, backbone: test_efficientnet, image_size: [64, 64], %s}"
COLOURS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.2]}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a backbone with batch norms, as if it were trained."""
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet")
    for name, tensor in model.state_dict().items():
        if "running" in name:
            tensor.uniform_(0.5, 1.5)
    path = tmp_path / "backbone.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    return path


def branch(model: Path, file: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The weights of a saved model's backbone, beside those that it started from."""
    saved, given = load_file(model / "model.safetensors"), load_file(file)
    own = {k.removeprefix(BRANCH): v for k, v in saved.items() if k.startswith(BRANCH)}
    assert len(own) > 50
    return {key: (value.float(), given[key].float()) for key, value in own.items()}


@pytest.mark.parametrize("stage", ["zero0", "zero1", "zero2", "zero3"])
def test_a_frozen_backbone_is_what_it_was(
    stage: str, squares: Path, tmp_path: Path, weights: Path
) -> None:
    vision = VISION % f"weights: {weights}, freeze: true, normalize: {COLOURS}"
    engine = {"engine": CONFIGS / f"{stage}.json"}
    run = a_run(squares, tmp_path / "run", **{"model.vision": vision, "steps": 3, **engine})
    saved = train(run, progress=False)
    for key, (value, given) in branch(saved, weights).items():
        assert torch.equal(value, given), key  # the statistics of batch norms, too
    weights.unlink()  # a saved model does not need it
    model = UnifiedVL.from_pretrained(saved)
    assert model.model.config.vision["normalize"] == COLOURS
    assert model.predict("see", image=squares / "data/red.png").text is not None


def test_one_that_is_not_frozen_learns(squares: Path, tmp_path: Path, weights: Path) -> None:
    vision = VISION % f"weights: {weights}"
    run = a_run(squares, tmp_path / "run", **{"model.vision": vision, "steps": 3})
    pairs = branch(train(run, progress=False), weights)
    changed = [key for key, (value, given) in pairs.items() if not torch.equal(value, given)]
    assert any(key.endswith("running_mean") for key in changed)
    far = {k: float((v - g).abs().max()) for k, (v, g) in pairs.items() if "conv" in k}
    assert all(0 < each < 0.1 for each in far.values()), far


def test_a_training_goes_on_as_if_it_had_not_ended(
    squares: Path, tmp_path: Path, weights: Path
) -> None:
    keys = f"weights: {weights}, freeze: true, fit: pad, pool: {{kind: resampler, tokens: 2}}"
    vision = VISION % keys
    changes: dict[str, Any] = {"model.vision": vision, "optimizer.decay": "constant"}
    whole = a_run(squares, tmp_path / "whole", **changes, steps=4)
    halves = a_run(squares, tmp_path / "halves", **changes, steps=2)
    model = train(whole, progress=False)
    train(halves, progress=False)
    longer = a_run(squares, tmp_path / "halves", **changes, steps=4)
    again = train(longer, resume=True, progress=False)
    assert losses(whole.output) == losses(longer.output)
    one, other = (load_file(each / "model.safetensors") for each in (model, again))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("source", ["nothing", "a text model", "a model with images, frozen"])
def test_a_run_that_goes_on_has_its_weights_in_its_checkpoints(
    squares: Path, tmp_path: Path, weights: Path, source: str
) -> None:
    """What the image branch began with may be gone, unless it is frozen: then no checkpoint has it.
    A model that has an image branch takes no other weights for it."""
    keys: dict[str, Any] = {"optimizer.decay": "constant"}
    vision = VISION % f"weights: {weights}"
    if source == "nothing":
        keys["model.vision"] = vision
    else:
        first = tmp_path / "t5"
        if source == "a text model":
            checkpoint("t5_v1_1", first)
            t5_tokenizer(first)
            keys["model"] = f"{{from: {first}, vision: {vision}}}"
        else:
            run = a_run(squares, tmp_path / "first", **{"model.vision": VISION % ""}, steps=1)
            keys["model"] = f"{{from: {train(run, progress=False)}}}"
            keys["freeze"] = [f"{BRANCH}*"]
    begun = a_run(squares, tmp_path / "run", **keys, steps=2)
    found = build(beginning_of(begun, resume=False))
    if source == "a text model":
        assert found.start is not None and found.start.has_fresh_images
        given = load_file(weights)
        for key, value in found.model.state_dict().items():
            if key.startswith(BRANCH) and value.is_floating_point():
                assert torch.equal(value, given[key.removeprefix(BRANCH)]), key
    train(begun, progress=False)
    weights.unlink()
    longer = a_run(squares, tmp_path / "run", **keys, steps=4)
    again = train(longer, resume=True, progress=False)
    model = UnifiedVL.from_pretrained(again)
    assert model.predict("see", image=squares / "data/red.png").text is not None


@pytest.mark.parametrize("source", ["a text model", "a model with images"])
def test_a_frozen_backbone_of_a_run_from_a_model_goes_on(
    squares: Path, tmp_path: Path, weights: Path, source: str
) -> None:
    """No checkpoint has it: it is read again, from its own file or from the model."""
    frozen = VISION % f"weights: {weights}, freeze: true"
    first, vision = tmp_path / "first", frozen
    if source == "a text model":
        checkpoint("t5_v1_1", first)
        t5_tokenizer(first)
    else:
        begun = a_run(squares, tmp_path / "begun", **{"model.vision": frozen}, steps=1)
        first, vision = train(begun, progress=False), "{freeze: true}"
    keys: dict[str, Any] = {"optimizer.decay": "constant"}
    keys["model"] = f"{{from: {first}, vision: {vision}}}"
    whole = train(a_run(squares, tmp_path / "whole", **keys, steps=4), progress=False)
    train(a_run(squares, tmp_path / "halves", **keys, steps=2), progress=False)
    longer = a_run(squares, tmp_path / "halves", **keys, steps=4)
    again = train(longer, resume=True, progress=False)
    one, other = (load_file(each / "model.safetensors") for each in (whole, again))
    assert all(torch.equal(one[key], other[key]) for key in one)
    for key, (value, given) in branch(again, weights).items():
        assert torch.equal(value, given), key


@pytest.mark.parametrize("pool", ["{kind: average, grid: [1, 2]}", "{kind: resampler, tokens: 2}"])
def test_a_model_with_fewer_tokens_is_opened_and_started_from(
    squares: Path, tmp_path: Path, pool: str
) -> None:
    """Its configuration holds the keys that its kind of pooling reads, and no other."""
    vision = f"{{kind: patches, image_size: [8, 8], patch_size: 4, fit: pad, pool: {pool}}}"
    saved = train(a_run(squares, tmp_path / "run", **{"model.vision": vision}), progress=False)
    assert UnifiedVL.from_pretrained(saved).predict("see", image=squares / "data/red.png").text
    start = a_run(squares, tmp_path / "next", model=f"{{from: {saved}}}")
    again = build(beginning_of(start, resume=False))
    assert again.model.config.image_tokens == 2
    assert again.model.config.image_fit == "pad"
    sizes = sizes_of(*started(start))
    assert (sizes.image_size, sizes.image_tokens, sizes.fit) == ((8, 8), 2, "pad")
    larger = f"{{from: {saved}, vision: {{image_size: [16, 12]}}}}"
    grown = build(beginning_of(a_run(squares, tmp_path / "grown", model=larger), resume=False))
    assert grown.model.config.image_tokens == 2
    assert grown.start is not None and bool(grown.start.resized) == ("resampler" in pool)


PACKED = "{kind: patches, image_size: [8, 8], patch_size: 4, fit: pack}"


def test_packed_images_are_learnt_from_alike_at_each_stage(squares: Path, tmp_path: Path) -> None:
    """Pictures of all proportions, with texts between them; and the model answers afterwards."""
    data = tmp_path / "data"
    shutil.copytree(squares / "data", data)
    for number, path in enumerate(sorted(data.glob("*.png"))):
        size = [(8, 8), (24, 6), (6, 24)][number % 3]
        PILImage.open(path).convert("RGB").resize(size).save(path)
    found = []
    for stage in ("zero0", "zero1", "zero2", "zero3"):
        keys = {"model.vision": PACKED, "steps": 3, "engine": CONFIGS / f"{stage}.json"}
        run = a_run(squares, tmp_path / stage, data=data, **keys)
        saved = train(run, progress=False)
        found.append(losses(run.output))
    for others in found[1:]:
        assert others == pytest.approx(found[0], rel=1e-4)
    model = UnifiedVL.from_pretrained(saved)
    assert model.codec.fit == Pack(4)
    for size in ((90, 10), (10, 90), (50, 50)):
        image = PILImage.new("RGB", size, "red")
        assert model.predict("see", image=image).text is not None
    start = a_run(squares, tmp_path / "next", model=f"{{from: {saved}}}")
    again = build(beginning_of(start, resume=False))
    assert again.codec.fit == Pack(4)
    assert sizes_of(*started(start)).fit == Pack(4)


def test_a_training_on_packed_images_goes_on(squares: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model.vision": PACKED, "optimizer.decay": "constant"}
    whole = a_run(squares, tmp_path / "whole", **changes, steps=4)
    halves = a_run(squares, tmp_path / "halves", **changes, steps=2)
    model = train(whole, progress=False)
    train(halves, progress=False)
    longer = a_run(squares, tmp_path / "halves", **changes, steps=4)
    again = train(longer, resume=True, progress=False)
    assert losses(whole.output) == losses(longer.output)
    one, other = (load_file(each / "model.safetensors") for each in (model, again))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("key", "vision"),
    [
        ("pool.kind", "{pool: {kind: average, grid: [1, 2]}}"),
        ("normalize.mean", "{normalize: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2]}}"),
    ],
)
def test_what_a_model_has_not_is_not_put_into_it_silently(
    squares: Path, tmp_path: Path, key: str, vision: str
) -> None:
    """A key within a mapping that the saved model has as null contradicts it like any other."""
    saved = train(a_run(squares, tmp_path / "run", **{"model.vision": VISION % ""}), progress=False)
    start = a_run(squares, tmp_path / "next", model=f"{{from: {saved}, vision: {vision}}}")
    with pytest.raises(UserError, match=r"but the model .* has null") as error:
        beginning_of(start, resume=False)
    assert error.value.field == f"model.vision.{key}"


BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.M | re.S)


class Shown(Document):
    """The part of a run file that the page shows."""

    model: ModelSpec


@pytest.mark.parametrize("text", BLOCKS)
def test_what_the_page_shows_is_right(text: str) -> None:
    values = YAML(typ="safe").load(text)
    part = validate(Shown, parse_text(text, Path("page.yaml")))
    assert part.model.model_dump(exclude_unset=True)["vision"].keys() == (
        values["model"]["vision"].keys()
    )
    vision = part.model.vision
    if vision.kind == "timm":
        assert timm.is_model(vision.backbone)
