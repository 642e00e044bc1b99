"""Weights that timm wrote, put into a backbone: names, sizes, colours, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.image_encoders.registry import settled, start_encoder
from unified_vl.model.image_encoders.timm_backbone import TimmBackbone, load_backbone
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.runs.vision import VisionSpec

SMALL = "test_efficientnet"
FAMILIES = {  # the smallest of each, at a size that is not its own where timm can resample
    "vit_tiny_patch16_224": (48, 80),
    "deit_tiny_patch16_224": (48, 80),
    "swin_tiny_patch4_window7_224": (96, 160),
    "convnext_atto": (96, 160),
    "resnet10t": (96, 160),
    "efficientnet_lite0": (96, 160),
    "mobilenetv3_small_050": (96, 160),
    "davit_tiny": (96, 160),
    "vit_base_patch16_siglip_224": (64, 64),
    "vit_small_patch14_dinov2": (42, 70),
    "eva02_tiny_patch14_224": (42, 70),
    "maxvit_rmlp_pico_rw_256": (96, 160),
    "levit_128s": (256, 256),
    "hiera_tiny_224": (224, 224),
}


def whole_model(name: str, **options: Any) -> nn.Module:
    """A model of timm as if it were trained: no weight and no statistic is 0 or 1."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and bool((tensor == tensor.flatten()[0]).all()):
            tensor.uniform_(0.5, 1.5)
    return model


def written(model: nn.Module, path: Path, prefix: str = "", **others: torch.Tensor) -> Path:
    state = {prefix + key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state | others, path)
    return path


def options_of(name: str, size: tuple[int, int]) -> dict[str, Any]:
    try:
        with torch.device("meta"):
            timm.create_model(name, img_size=size)
    except TypeError:  # convolutions
        return {}
    return {"img_size": size}


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_those_of_timm(name: str, tmp_path: Path) -> None:
    size = FAMILIES[name]
    own = options_of(name, size) if name == "levit_128s" else {}  # which cannot be resampled
    file = written(whole_model(name, **own), tmp_path / "w.safetensors")
    theirs = timm.create_model(
        name,
        pretrained=True,
        features_only=True,
        out_indices=(-1,),
        pretrained_cfg_overlay={"file": str(file)},
        **options_of(name, size),
    )
    ours = TimmBackbone(name, -1, size, 8)
    x_NCHW = torch.randn(1, 3, *size)
    with torch.no_grad():
        load_backbone(ours.eval(), file)
        expected = theirs.eval()(x_NCHW)[0]
        difference = ours.backbone(x_NCHW)[0] - expected
    assert difference.abs().max() < 1e-5 * expected.abs().max().clamp(min=1)


def backbone(name: str = SMALL) -> TimmBackbone:
    return TimmBackbone(name, -1, (64, 64), 8)


@pytest.mark.parametrize(
    ("prefix", "other"), [("", ""), ("backbone.", ""), ("visual.trunk.", "text.weight")]
)
def test_names_may_have_something_in_front(prefix: str, other: str, tmp_path: Path) -> None:
    model = whole_model(SMALL)
    others = {other: torch.ones(3)} if other else {}
    ours = backbone()
    load_backbone(ours, written(model, tmp_path / "w.safetensors", prefix, **others))
    torch.testing.assert_close(
        ours.backbone.state_dict()["conv_stem.weight"], model.state_dict()["conv_stem.weight"]
    )


def test_a_classifier_of_other_classes_is_of_no_matter(tmp_path: Path) -> None:
    model = whole_model(SMALL, num_classes=7)
    load_backbone(backbone(), written(model, tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", [SMALL, "test_vit", "test_convnext"])
def test_weights_of_a_saved_model_of_ours(name: str, tmp_path: Path) -> None:
    """As `encoder.vision.features.backbone...` in its `model.safetensors`."""
    model = backbone(name)
    state = {f"encoder.vision.features.{k}": v for k, v in model.state_dict().items()}
    save_file({**state, "encoder.vision.row": torch.ones(2)}, tmp_path / "model.safetensors")
    ours = backbone(name)
    load_backbone(ours, tmp_path / "model.safetensors")
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, ours.backbone.state_dict()[key])


def spoilt(change: str, path: Path) -> Path:
    """A file of weights with one thing wrong."""
    state = {k: v.contiguous() for k, v in whole_model(SMALL).state_dict().items()}
    first = "conv_stem.weight"
    match change:
        case "missing":
            state["conv_stam.weight"] = state.pop(first)
        case "surplus":
            state["blocks.9.weight"] = torch.ones(3)
        case "shape":
            state[first] = state[first][:, :1].contiguous()
        case "number":
            state[first] = torch.full_like(state[first], float("nan"))
        case "another":
            state = {k: v.contiguous() for k, v in whole_model("test_vit").state_dict().items()}
    save_file(state, path)
    if change == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("missing", "has no 'conv_stem.weight' (1 of "),
        ("missing", "did you mean 'conv_stam.weight'?"),
        ("surplus", "has 'blocks.9.weight', which the backbone 'test_efficientnet' does not have"),
        ("shape", "has 'conv_stem.weight' in the shape (24, 1, 3, 3) (1 of "),
        ("shape", "expected (24, 3, 3, 3), as the backbone 'test_efficientnet' has it"),
        ("number", "'conv_stem.weight' holds NaN or infinity"),
        ("another", "has no 'conv_stem.weight'"),
        ("truncated", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_message(change: str, told: str, tmp_path: Path) -> None:
    path = spoilt(change, tmp_path / "w.safetensors")
    ours = backbone()
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_backbone(ours, path)
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert error.value.field == "model.vision.weights"
    assert all(torch.equal(before[k], v) for k, v in ours.state_dict().items())


def folder(path: Path, **config: Any) -> Path:
    path.mkdir()
    written(whole_model(SMALL), path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    return path


SCALE = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, None),
        ({"weights": "pretrained"}, IMAGENET),
        ({"weights": "pretrained", "normalize": "none"}, "none"),
        ({"weights": "pretrained", "normalize": SCALE}, SCALE),
        ({"normalize": "backbone"}, IMAGENET),
        ({"weights": "folder"}, SCALE),
    ],
)
def test_a_saved_model_keeps_the_scale_of_its_colours(
    keys: dict[str, Any], expected: object, tmp_path: Path
) -> None:
    path = folder(tmp_path / "f", architecture=SMALL, pretrained_cfg=SCALE)
    if keys.get("weights") == "folder":
        keys = {"weights": str(path)}
    vision = {**VisionSpec(kind="timm", backbone=SMALL).model_dump(), "image_size": (64, 64)}
    kept = settled(vision | keys)
    assert kept["normalize"] == expected
    assert "weights" not in kept


def test_colours_are_brought_to_the_scale_of_the_backbone() -> None:
    ours = TimmBackbone(SMALL, -1, (64, 64), 8, SCALE)
    colours = torch.tensor([0.0, 128.0, 255.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    seen: list[torch.Tensor] = []
    ours.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    ours.eval()(colours / 127.5 - 1.0)
    mean, std = (torch.tensor(SCALE[key]) for key in ("mean", "std"))
    expected = (torch.tensor([0.0, 128.0, 255.0]) / 255 - mean) / std
    torch.testing.assert_close(seen[0][0, :, 0, 0], expected, atol=1e-6, rtol=0)


def test_they_are_loaded_after_initialisation(tmp_path: Path) -> None:
    """`initialize` draws each convolution anew."""
    path = folder(tmp_path / "f", architecture=SMALL, pretrained_cfg=SCALE)
    keys = VisionSpec(kind="timm", backbone=SMALL, image_size=(64, 64)).model_dump(mode="json")
    given = {**keys, "weights": str(path)}
    config = UnifiedVLConfig(
        64, 32, 16, 32, 1, num_heads=2, image_token_id=3, vision=dict(settled(given))
    )
    model = UnifiedVLForConditionalGeneration(config)
    assert model.encoder.vision is not None
    start_encoder(model.encoder.vision.features, given)
    file = load_file(path / "model.safetensors")
    own = model.state_dict()
    kept = [k for k in file if f"encoder.vision.features.backbone.{k}" in own]
    assert len(kept) > 20
    for key in kept:
        assert torch.equal(own[f"encoder.vision.features.backbone.{key}"], file[key])


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("f", "has the weights of 'resnet18', and the backbone is 'test_efficientnet'"),
        ("empty", "there is no 'model.safetensors' in "),
        ("empty", "'pytorch_model.bin', a pickle, which is not opened"),
        ("w.pth", "is a pickle, which is not opened: it may run any program"),
        ("w.pth", "torch.load('w.pth', weights_only=True).items()}, 'w.safetensors')\""),
        ("f/modle.safetensors", "did you mean 'model.safetensors'?"),
        ("pretraned", "did you mean 'pretrained'?"),
        ("no_config", "is no timm config: "),
    ],
)
def test_what_is_no_file_of_weights(weights: str, told: str, tmp_path: Path) -> None:
    folder(tmp_path / "f", architecture="resnet18")
    folder(tmp_path / "no_config", pretrained_cfg={"mean": ["a"]})
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "pytorch_model.bin").touch()
    (tmp_path / "w.pth").touch()
    keys = VisionSpec(kind="timm", backbone=SMALL).model_dump(mode="json")
    with pytest.raises(UserError) as error:
        settled({**keys, "weights": str(tmp_path / weights)})
    assert told in str(error.value)
    assert error.value.field == "model.vision.weights"


def test_pretrained_weights_without_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    keys = VisionSpec(kind="timm", backbone=SMALL, weights="pretrained").model_dump(mode="json")
    with pytest.raises(UserError) as error:
        start_encoder(backbone(), keys)
    assert "the weights of 'test_efficientnet' (timm/test_efficientnet.r160_in1k" in str(
        error.value
    )
    assert "hf download timm/test_efficientnet.r160_in1k --local-dir FOLDER" in str(error.value)


def test_pretrained_weights_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = written(whole_model(SMALL), tmp_path / "model.safetensors")
    asked: list[tuple[str, str]] = []

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    ours = backbone()
    keys = VisionSpec(kind="timm", backbone=SMALL, weights="pretrained").model_dump(mode="json")
    start_encoder(ours, keys)
    assert asked == [("timm/test_efficientnet.r160_in1k", "model.safetensors")]
    assert torch.equal(
        ours.backbone.state_dict()["conv_stem.weight"], load_file(file)["conv_stem.weight"]
    )


def test_an_unknown_tag_has_its_nearest() -> None:
    keys = VisionSpec(kind="timm", backbone="resnet18.a1_in1l", weights="pretrained")
    with pytest.raises(UserError) as error:
        settled(keys.model_dump(mode="json"))
    assert "timm has no weights 'a1_in1l' of 'resnet18'" in str(error.value)
    assert error.value.nearest == "a1_in1k"
