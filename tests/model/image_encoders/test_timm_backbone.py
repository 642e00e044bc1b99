"""Families of backbones at sizes that are not their own."""

from __future__ import annotations

import pytest
import torch

from unified_vl.errors import UserError
from unified_vl.model.image_encoders.timm_backbone import TimmBackbone, feature_map

# the smallest of each family, and its stride
FAMILIES = {
    "vit_tiny_patch16_224": 16,
    "deit_tiny_patch16_224": 16,
    "swin_tiny_patch4_window7_224": 32,
    "convnext_atto": 32,
    "resnet10t": 32,
    "efficientnet_lite0": 32,
    "mobilenetv3_small_050": 32,
    "davit_tiny": 32,
    "vit_base_patch16_siglip_224": 16,
    "vit_small_patch14_dinov2": 14,
    "eva02_tiny_patch14_224": 14,
    "maxvit_rmlp_pico_rw_256": 32,
    "levit_128s": 64,
    "hiera_tiny_224": 32,
}
LARGE = ("davit_tiny", "vit_base_patch16_siglip_224")  # not computed with, to save time


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (12, 12)], ids=["small", "odd", "large"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_backbone_takes_other_sizes_than_its_own(name: str, grid: tuple[int, int]) -> None:
    size = (grid[0] * FAMILIES[name], grid[1] * FAMILIES[name])
    found = feature_map(name, -1, size)
    assert (found.rows, found.columns) == grid
    if grid == (3, 5) and name not in LARGE:
        backbone = TimmBackbone(name, -1, size, 8)
        assert backbone(torch.zeros(2, 3, *size)).shape == (2, 8, *grid)


@pytest.mark.parametrize(
    ("name", "level", "size", "field", "told"),
    [
        ("resnet81", -1, (64, 64), "backbone", "timm has no backbone 'resnet81'"),
        ("resnet18", 9, (64, 64), "feature_level", "'resnet18' has no feature map 9"),
        ("vit_tiny_patch16_224", 12, (64, 64), "feature_level", "has no feature map 12"),
        ("vit_tiny_patch16_224", -1, (65, 64), "image_size", "65 x 64 pixels are not a multiple"),
        ("eva02_tiny_patch14_224", -1, (64, 64), "image_size", "expected multiples of 14"),
        ("nest_tiny", -1, (96, 160), "image_size", "cannot take one image of 96 x 160 pixels"),
        ("levit_128s", -1, (64, 64), "image_size", "such as 224 x 224"),  # norms one number
        ("vit_tiny_r_s16_p8_224", -1, (48, 48), "image_size", "cannot take one image of 48 x 48"),
    ],
)
def test_a_backbone_that_cannot_is_told_before_training(
    name: str, level: int, size: tuple[int, int], field: str, told: str
) -> None:
    with pytest.raises(UserError) as error:
        feature_map(name, level, size)
    assert told in str(error.value)
    assert error.value.field == f"model.vision.{field}"
