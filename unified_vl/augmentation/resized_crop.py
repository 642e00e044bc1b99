"""A part of the picture in the place of the whole."""

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
    Portion,
    falling,
)
from unified_vl.kinds.hooks.motion import Motion, cropped
from unified_vl.parts import Problem

Ratio = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]


class ResizedCropKeys(MovingKeys):
    """Of resized_crop."""

    area: tuple[Portion, Portion] = Field(
        default=(0.5, 1.0),
        description="resized_crop: least and largest share of the picture's area.",
        examples=[[0.3, 1.0]],
    )
    ratio: tuple[Ratio, Ratio] = Field(
        default=(0.75, 4 / 3),
        description="resized_crop: least and largest ratio of width to height, of which 1 is the "
        "picture's own.",
        examples=[[1.0, 1.0]],
    )


@dataclass(frozen=True)
class Cropped(Change):
    """The rectangle from (left, top), as fractions of the picture, now fills the frame."""

    left: float
    top: float
    width: float
    height: float

    def __repr__(self) -> str:
        said = (self.left, self.top, self.left + self.width, self.top + self.height)
        return f"resized_crop({' '.join(f'{value:.2f}' for value in said)})"

    @property
    def motion(self) -> Motion:
        return cropped(self.left, self.top, self.width, self.height)

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        left, top = self.left * image.width, self.top * image.height
        right = min(left + self.width * image.width, image.width)
        bottom = min(top + self.height * image.height, image.height)
        box = (left, top, right, bottom)
        return image.resize(image.size, PILImage.Resampling.BICUBIC, box=box)


class ResizedCrop(Augmentation):
    """As torchvision's RandomResizedCrop (Inception, arXiv 1409.4842), with the picture's own
    proportions as the ratio 1."""

    name = "resized_crop"
    about = "A part of the picture is taken and brought to its size."
    keys = ResizedCropKeys
    moves = True

    def problems(self, keys: Any) -> Iterator[Problem]:
        yield from falling("area", keys.area)
        yield from falling("ratio", keys.ratio)

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Cropped:
        area = random.uniform(*keys.area)
        ratio = exp(random.uniform(*map(log, keys.ratio)))
        width, height = min(1.0, (area * ratio) ** 0.5), min(1.0, (area / ratio) ** 0.5)
        left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
        return Cropped(left, top, width, height)
