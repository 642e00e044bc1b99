"""Grain: each number of a picture a little off.

Legend: H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

import numpy as np
from PIL import Image as PILImage
from pydantic import Field

from unified_vl.augmentation.augmentation import Augmentation, Change
from unified_vl.parts import Part


class NoiseKeys(Part):
    """Of noise."""

    std: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.05,
        description="noise: largest standard deviation, in parts of what lies between black and "
        "white.",
        examples=[0.05],
    )


@dataclass(frozen=True)
class Noisy(Change):
    """Gaussian noise of a standard deviation (of 0 to 1), drawn from a seed."""

    std: float
    seed: int

    def __repr__(self) -> str:
        return f"noise({self.std:.3f})"

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        grain = np.random.Generator(np.random.PCG64(self.seed))
        pixels_HW3 = np.asarray(image)
        noise_HW3 = grain.standard_normal(pixels_HW3.shape, dtype=np.float32)
        noisy_HW3 = np.clip(pixels_HW3 + 255 * self.std * noise_HW3, 0, 255)
        return PILImage.fromarray(noisy_HW3.round().astype(np.uint8))


class Noise(Augmentation):
    """As torchvision's GaussianNoise, of a drawn strength."""

    name = "noise"
    about = "Gaussian noise is added to all numbers of the picture."
    keys = NoiseKeys
    rate = 0.5

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Noisy:
        return Noisy(random.uniform(0, keys.std), random.getrandbits(63))
