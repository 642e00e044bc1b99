"""Pictures out of focus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from PIL import Image as PILImage
from PIL import ImageFilter
from pydantic import Field

from unified_vl.augmentation.augmentation import Augmentation, Change, falling
from unified_vl.parts import Part, Problem

Sigma = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class BlurKeys(Part):
    """Of blur."""

    sigma: tuple[Sigma, Sigma] = Field(
        default=(0.1, 2.0),
        description="blur: least and largest standard deviation of the Gaussian, in pixels of what "
        "the network reads.",
        examples=[[0.1, 1.0]],
    )


@dataclass(frozen=True)
class Blurred(Change):
    """With a Gaussian of this standard deviation in pixels."""

    sigma: float

    def __repr__(self) -> str:
        return f"blur({self.sigma:.2f})"

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return image.filter(ImageFilter.GaussianBlur(self.sigma))


class Blur(Augmentation):
    """As torchvision's GaussianBlur, with the deviation in the place of a kernel's size."""

    name = "blur"
    about = "The picture is blurred by a Gaussian."
    keys = BlurKeys
    rate = 0.5

    def problems(self, keys: Any) -> Iterator[Problem]:
        return falling("sigma", keys.sigma)

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Blurred:
        return Blurred(random.uniform(*keys.sigma))
