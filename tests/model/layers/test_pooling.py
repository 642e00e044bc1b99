"""Fewer tokens of an image: how many, of what they are made, and that they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

AVERAGE = {"kind": "average", "grid": [2, 3]}
RESAMPLER = {"kind": "resampler", "tokens": 5, "layers": 2}
VISION: dict[str, dict[str, Any]] = {
    "patches": {"kind": "patches", "image_size": [32, 48], "patch_size": 8},
    "stem": {"kind": "stem", "image_size": [32, 48], "patch_size": 8, "channels": [16, 16]},
    "timm": {"kind": "timm", "backbone": "test_efficientnet", "image_size": [64, 96]},
}
VISION["timm"] |= {"feature_level": -2}
IMAGE = 3  # the id


def a_model(
    pool: dict[str, Any] | None, kind: str = "patches"
) -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        64, 32, 16, 32, 1, num_heads=2, image_token_id=IMAGE, vision={**VISION[kind], "pool": pool}
    )
    return UnifiedVLForConditionalGeneration(config)


def images(kind: str) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, *VISION[kind]["image_size"]), dtype=torch.uint8)


def read(model: UnifiedVLForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    ids = torch.tensor([[5] + [IMAGE] * model.config.image_tokens + [1]] * 2)
    labels = torch.tensor([[7, 8, 1]] * 2)
    output = model(ids, torch.ones_like(ids), pixels, labels=labels)
    assert output.loss is not None
    return output.loss


@pytest.mark.parametrize("kind", VISION)
@pytest.mark.parametrize(("pool", "tokens"), [(None, 24), (AVERAGE, 6), (RESAMPLER, 5)])
def test_so_many_tokens_are_left(pool: dict[str, Any] | None, tokens: int, kind: str) -> None:
    model = a_model(pool, kind)
    assert model.config.image_tokens == tokens
    assert model.encoder.vision is not None
    placed, features = model.encoder.vision(images(kind))
    assert placed.shape == features.shape == (2, tokens, 32)
    read(model, images(kind)).backward()
    learning = {n: p.grad for n, p in model.encoder.vision.named_parameters()}
    without = [n for n, grad in learning.items() if grad is None and "backbone" not in n]
    assert not without  # but timm keeps blocks behind its last feature map


def test_averages_are_means_of_their_cells() -> None:
    model = a_model(AVERAGE)
    vision = model.encoder.vision
    assert vision is not None
    features = vision.features(images("patches") / 127.5 - 1)  # (2, 32, 4, 6)
    cell = features[0, :, 2:4, 2:4].mean((1, 2))  # the last of two rows, the second of three
    expected = vision.norm(cell)
    torch.testing.assert_close(vision(images("patches"))[1].shape, torch.Size((2, 6, 32)))
    pooled = vision.norm(vision.pool(features)[0, :, 1, 1])
    torch.testing.assert_close(pooled, expected)


def test_queries_of_a_resampler_tell_places_apart() -> None:
    """The same colours elsewhere are something else."""
    vision = a_model(RESAMPLER).eval().encoder.vision
    assert vision is not None
    left = torch.zeros(1, 3, 32, 48, dtype=torch.uint8)
    left[..., :8, :8] = 255
    right = left.flip(-1)
    with torch.no_grad():
        assert (vision(left)[1] - vision(right)[1]).abs().max() > 1e-3


@pytest.mark.parametrize("pool", [None, AVERAGE, RESAMPLER])
def test_a_saved_model_has_its_pooling(pool: dict[str, Any] | None, tmp_path: Path) -> None:
    model = a_model(pool).eval()
    model.save_pretrained(tmp_path)
    again = UnifiedVLForConditionalGeneration.from_pretrained(tmp_path).eval()
    pixels = images("patches")
    torch.testing.assert_close(read(model, pixels), read(again, pixels))
    assert again.config.vision["pool"] == pool


def test_a_model_without_pooling_is_what_it_was() -> None:
    """No draw of its own, no module with weights."""
    vision = a_model(None).encoder.vision
    assert vision is not None
    assert not list(vision.pool.parameters())


def test_a_grid_of_more_than_there_are() -> None:
    with pytest.raises(UserError, match="found 5 x 3, and an image has 4 x 6 features") as error:
        _ = a_model({"kind": "average", "grid": [5, 3]}).config.image_tokens
    assert error.value.field == "model.vision.pool.grid"
