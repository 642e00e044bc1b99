"""Images in grids of their own: how many tokens they take, and that the model reads no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from unified_vl.codecs.images import resize
from unified_vl.codecs.strips import HEAD, to_strip
from unified_vl.kinds.hooks.fits import Pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.image_encoders.packed_images import grids, is_place, positions, squares
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.runs.vision import VisionSpec
from unified_vl.training.objectives.contrast import similarity

IMAGE = 3  # the id
SIDE, SIZE, MOST = 4, (16, 16), 16
VISION = {"kind": "patches", "image_size": list(SIZE), "patch_size": SIDE}


def a_model(fit: str = "pack") -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    keys = {"image_token_id": IMAGE, "vision": {**VISION, "fit": fit}}
    return UnifiedVLForConditionalGeneration(
        UnifiedVLConfig(64, 32, 16, 32, 1, num_heads=2, **keys)
    )


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A noisy one, as it is packed."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return resize(PILImage.fromarray(noise), SIZE, fit=Pack(SIDE)).pixels_HWC


def strips(*pictures: np.ndarray) -> torch.Tensor:
    whole = np.stack([to_strip(each, SIDE, MOST) for each in pictures])
    return torch.from_numpy(whole.transpose(0, 3, 1, 2).copy())


def ids(*pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """A source for each picture, and its mask."""
    counts = [each.shape[0] * each.shape[1] // SIDE**2 for each in pictures]
    rows = [[5, *[IMAGE] * count, 1] for count in counts]
    padded = [[*row, *[0] * (max(map(len, rows)) - len(row))] for row in rows]
    return torch.tensor(padded), torch.tensor(padded).ne(0).long()


@pytest.mark.parametrize(
    ("image", "size", "grid"),
    [
        ((640, 640), (224, 224), (14, 14)),
        ((7, 7), (224, 224), (14, 14)),  # a small one is enlarged, as it is when it is stretched
        ((900, 300), (224, 224), (8, 24)),
        ((300, 900), (224, 224), (24, 8)),
        ((640, 480), (224, 224), (12, 16)),
        ((128, 64), (64, 128), (4, 8)),  # a rectangle's own proportions
        ((10_000, 1), (64, 64), (1, 16)),
        ((1, 10_000), (64, 64), (16, 1)),
    ],
)
def test_an_image_has_a_grid_of_its_own(
    image: tuple[int, int], size: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert Pack(16).grid(image, size) == grid
    found = resize(PILImage.new("RGB", image), size, fit=Pack(16))
    assert found.pixels_HWC.shape == (grid[0] * 16, grid[1] * 16, 3)
    assert (found.width, found.height) == image


SIDES = st.integers(1, 2000)


@given(SIDES, SIDES, st.integers(1, 20), st.integers(1, 20))
def test_no_grid_has_more_squares_than_there_may_be_and_none_could_be_larger(
    width: int, height: int, rows: int, columns: int
) -> None:
    size = (rows * SIDE, columns * SIDE)
    most = Pack(SIDE).most(size)
    own_rows, own_columns = Pack(SIDE).grid((width, height), size)
    assert own_rows >= 1 <= own_columns
    assert own_rows * own_columns <= most < (own_rows + 1) * (own_columns + 1)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
def test_a_strip_says_its_grid_and_holds_the_squares_row_by_row(
    rows: int, columns: int, side: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (rows * side, columns * side, 3), np.uint8)
    strip = torch.from_numpy(to_strip(pixels, side, 40)).permute(2, 0, 1)[None]
    assert strip.shape == (1, 3, side, (HEAD + 40) * side)
    assert grids(strip, side).tolist() == [[rows, columns]]
    cut = squares(strip, side)[0].permute(1, 2, 0).numpy()
    for number in range(rows * columns):
        y, x = number // columns * side, number % columns * side
        found = cut[:, number * side : (number + 1) * side]
        assert (found == pixels[y : y + side, x : x + side]).all()


def test_many_rows_take_more_than_one_digit() -> None:
    strip = torch.from_numpy(to_strip(np.zeros((70_000, 1, 3), np.uint8), 1, 70_000))
    assert grids(strip.permute(2, 0, 1)[None], 1).tolist() == [[70_000, 1]]


def test_an_image_of_the_models_own_shape_is_read_as_if_it_were_stretched() -> None:
    model, stretching = a_model(), a_model("stretch")
    stretching.load_state_dict(model.state_dict())
    square = picture(50, 50)
    assert square.shape == (*SIZE, 3)
    placed_XM, feature_NPM = model.image_branch(strips(square, square))
    pixels = torch.from_numpy(square.transpose(2, 0, 1)[None].repeat(2, 0))
    expected_NPM, bare_NPM = stretching.image_branch(pixels)
    torch.testing.assert_close(placed_XM, expected_NPM.flatten(0, 1))
    torch.testing.assert_close(feature_NPM, bare_NPM)


def test_places_have_the_positions_of_their_fractions() -> None:
    """Halves of a table of four stand between its rows, eighths near them, quarters are they."""
    table_41 = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    none_11 = torch.zeros(1, 1)
    for count, expected in (
        (4, [0, 1, 2, 3]),
        (2, [0.5, 2.5]),
        (1, [1.5]),
        (8, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
    ):
        row = positions(table_41, none_11, torch.tensor([[count, 1]]), count)
        column = positions(none_11, table_41, torch.tensor([[1, count]]), count)
        assert row.flatten().tolist() == column.flatten().tolist() == expected


@torch.inference_mode()
def test_what_is_no_place_changes_nothing() -> None:
    """Neither what stands behind an image's squares nor the other images of a batch."""
    model = a_model().eval()
    wide, tall = picture(90, 30), picture(20, 80, seed=1)
    assert (wide.shape[:2], tall.shape[:2]) == ((8, 24), (32, 8))
    labels = torch.tensor([[7, 8, 1]])
    together = model(*ids(wide, tall), strips(wide, tall), labels=labels.repeat(2, 1)).logits
    for number, each in enumerate((wide, tall)):
        alone = model(*ids(each), strips(each), labels=labels).logits
        torch.testing.assert_close(together[number], alone[0], atol=1e-5, rtol=1e-5)
    spoilt = strips(wide)
    spoilt[..., (HEAD + 2 * 6) * SIDE :] = 77
    alone = model(*ids(wide), strips(wide), labels=labels).logits
    assert torch.equal(model(*ids(wide), spoilt, labels=labels).logits, alone)
    turned = strips(wide)
    turned[0, :, 0, 0], turned[0, :, 0, SIDE] = (
        strips(wide)[0, :, 0, SIDE],
        strips(wide)[0, :, 0, 0],
    )
    other = model(*ids(wide), turned, labels=labels).logits
    assert not torch.allclose(other, alone)  # the grid is read


@pytest.mark.parametrize("images", [True, False])
def test_all_of_the_branch_has_gradients(images: bool) -> None:
    """Without images, too: a blank one is sent through it."""
    model = a_model().train()
    source = ids(picture(90, 30)) if images else (torch.tensor([[5, 1]]), torch.ones(1, 2).long())
    pixels = strips(picture(90, 30)) if images else None
    output = model(*source, pixels, labels=torch.tensor([[7, 1]]))
    output.loss.backward()
    for name, weight in model.image_branch.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert bool(weight.grad.any()) == images, name


def test_a_contrastive_loss_looks_at_places_alone() -> None:
    caption = torch.tensor([[[1.0, 0.0]]])
    image = torch.tensor([[[-1.0, 0.5], [0.0, 0.0]]])  # one place, and no place
    found = similarity(caption, torch.ones(1, 1), image)
    assert found.item() == pytest.approx(-1 / 1.25**0.5)


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"kind": "stem", "channels": [16], "patch_size": 4}, ("fit",)),
        ({"kind": "timm", "backbone": "resnet18"}, ("fit",)),
        ({"pool": {"kind": "average", "grid": [1, 1]}}, ("pool",)),
    ],
)
def test_what_cannot_be_packed_is_refused(keys: dict[str, Any], path: tuple[str, ...]) -> None:
    found = list(VisionSpec(**{"fit": "pack", "image_size": (32, 32), **keys}).problems())
    assert [problem.path for problem in found] == [path]


def test_places_of_a_mask_are_those_of_the_grid() -> None:
    assert is_place(torch.tensor([[2, 3], [1, 1]]), 7).sum(1).tolist() == [6, 1]


@torch.inference_mode()
def test_features_that_were_computed_before_are_read_as_pixels_are() -> None:
    model = a_model().eval()
    wide, tall = picture(90, 30), picture(20, 80, seed=1)
    pixels = strips(wide, tall)
    features, grid_N2 = model.image_features(pixels), grids(pixels, SIDE)
    again = model.encode(*ids(wide, tall), image_features=features, image_grids=grid_N2)
    torch.testing.assert_close(again, model.encode(*ids(wide, tall), pixels))
