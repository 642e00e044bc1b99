"""Pictures with too much light, or too little to tell things apart by.

Legend: H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.perturbation.images.corruption import Corruption, from_unit, to_unit
from unified_vl.perturbation.images.noise import generator

BRIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay


@dataclass(frozen=True)
class Brighter(Change):
    """So much more value (of 0 to 1) in HSV."""

    by: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        hue, saturation, value = image.convert("HSV").split()
        value = value.point([min(255, round(v + 255 * self.by)) for v in range(256)])
        return PILImage.merge("HSV", (hue, saturation, value)).convert("RGB")


@dataclass(frozen=True)
class Flatter(Change):
    """So much of what each number differs by from the mean of its colour."""

    factor: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        pixels_HW3 = to_unit(image)
        mean_3 = pixels_HW3.mean(axis=(0, 1))
        return from_unit((pixels_HW3 - mean_3) * self.factor + mean_3)


@dataclass(frozen=True)
class Foggy(Change):
    """Behind a cloud of this thickness, whose finer grains decay by a factor each."""

    thickness: float
    decay: float
    seed: int

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        pixels_HW3 = to_unit(image)
        cloud_HW = plasma(image.size, self.decay, self.seed)
        brightest = float(pixels_HW3.max())
        foggy_HW3 = pixels_HW3 + self.thickness * cloud_HW[..., None]
        return from_unit(foggy_HW3 * brightest / (brightest + self.thickness))


def plasma(size: tuple[int, int], decay: float, seed: int) -> npt.NDArray[np.float32]:
    """A cloud (H, W) from 0 to 1: grids of random numbers, each twice as fine as the one before and
    weaker by `decay`. (The paper's diamond-square algorithm has the same octaves.)"""
    random = generator(seed)
    total_HW = np.zeros(size[::-1], dtype=np.float64)
    side, weight = 2, 1.0
    while True:
        grid = PILImage.fromarray(random.random((side + 1, side + 1), dtype=np.float32))
        total_HW += weight * np.asarray(grid.resize(size, PILImage.Resampling.BILINEAR))
        if side >= max(size):
            break
        side, weight = 2 * side, weight / decay
    total_HW -= total_HW.min()
    return (total_HW / max(float(total_HW.max()), 1e-6)).astype(np.float32)


PERTURBATIONS = (
    Corruption(
        "brightness",
        "The picture is brighter.",
        lambda level, random: Brighter(BRIGHTER[level]),
    ),
    Corruption(
        "contrast",
        "Light and dark are closer to each other.",
        lambda level, random: Flatter(CONTRAST[level]),
    ),
    Corruption(
        "fog",
        "The picture is behind fog.",
        lambda level, random: Foggy(*FOG[level], random.getrandbits(63)),
    ),
)
