"""Pictures that are smaller or larger, and elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import Annotated, Any

from PIL import Image as PILImage
from pydantic import Field

from unified_vl.augmentation.augmentation import (
    Augmentation,
    Change,
    MovingKeys,
    falling,
    moved,
)
from unified_vl.kinds.hooks.motion import Motion
from unified_vl.parts import Problem

Scale = Annotated[float, Field(ge=0.05, le=20, allow_inf_nan=False)]


class AffineKeys(MovingKeys):
    """Of affine."""

    scale: tuple[Scale, Scale] = Field(
        default=(0.8, 1.2),
        description="affine: least and largest factor of its size, around its middle.",
        examples=[[0.5, 1.0]],
    )
    translate: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.1,
        description="affine: by how much of its sides it is shifted at most, either way.",
        examples=[0.1],
    )


@dataclass(frozen=True)
class Shifted(Change):
    """Scaled around the middle, then shifted by parts of its sides."""

    scale: float
    right: float
    down: float

    def __repr__(self) -> str:
        return f"affine(scale {self.scale:.2f}, translate {self.right:.2f} {self.down:.2f})"

    @property
    def motion(self) -> Motion:
        rest = 0.5 * (1 - self.scale)
        return Motion(a=self.scale, c=rest + self.right, e=self.scale, f=rest + self.down)

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return moved(image, self.motion)


class Affine(Augmentation):
    """As torchvision's RandomAffine without its turning and shearing."""

    name = "affine"
    about = "The picture is scaled and shifted, on grey."
    keys = AffineKeys
    moves = True

    def problems(self, keys: Any) -> Iterator[Problem]:
        return falling("scale", keys.scale)

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Shifted:
        scale = exp(random.uniform(*map(log, keys.scale)))
        right, down = (random.uniform(-keys.translate, keys.translate) for _ in range(2))
        return Shifted(scale, right, down)
