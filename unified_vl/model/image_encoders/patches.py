"""One linear projection of each square of pixels (arXiv 2010.11929, section 3.1)."""

from __future__ import annotations

from torch import nn

from unified_vl.errors import UserError
from unified_vl.model.image_encoders.image_encoder import EncoderKind, Vision
from unified_vl.specs.runs.vision import PatchKeys


def grid(vision: Vision) -> tuple[int, int]:
    """Rows and columns of squares.

    Raises:
        UserError: when they do not cover an image.
    """
    height, width = vision["image_size"]
    stride = int(vision["patch_size"])
    if height % stride or width % stride:
        raise UserError(
            f"{height}x{width} pixels are not a multiple of the stride {stride}",
            field="model.vision.image_size",
        )
    return height // stride, width // stride


def build(vision: Vision, width: int) -> nn.Module:
    size = vision["patch_size"]
    return nn.Conv2d(3, width, size, stride=size)


PATCHES = EncoderKind("patches", PatchKeys, grid, build)
