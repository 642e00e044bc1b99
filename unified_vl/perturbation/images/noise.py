"""Noise on the numbers of a picture.

Legend: H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.augmentation.noise import Noisy
from unified_vl.perturbation.images.corruption import Corruption, from_unit, to_unit

STD = (0.08, 0.12, 0.18, 0.26, 0.38)
PHOTONS = (60, 25, 12, 5, 3)
SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)


def generator(seed: int) -> np.random.Generator:
    """Draws the same of a seed on every machine."""
    return np.random.Generator(np.random.PCG64(seed))


@dataclass(frozen=True)
class Shot(Change):
    """As many photons as a Poisson distribution has them, of so many where it is white."""

    photons: int
    seed: int

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        counts_HW3 = generator(self.seed).poisson(to_unit(image) * self.photons)
        return from_unit(counts_HW3 / self.photons)


@dataclass(frozen=True)
class Impulse(Change):
    """Numbers that are black or white, salt and pepper, a share of all."""

    share: float
    seed: int

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        random = generator(self.seed)
        pixels_HW3 = to_unit(image)
        where_HW3 = random.random(pixels_HW3.shape) < self.share
        salt_HW3 = random.random(pixels_HW3.shape) < 0.5
        return from_unit(np.where(where_HW3, salt_HW3, pixels_HW3))


@dataclass(frozen=True)
class Speckled(Change):
    """Gaussian noise that is the stronger the brighter a number is."""

    std: float
    seed: int

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        pixels_HW3 = to_unit(image)
        noise_HW3 = generator(self.seed).standard_normal(pixels_HW3.shape, dtype=np.float32)
        return from_unit(pixels_HW3 * (1 + self.std * noise_HW3))


def _seed(random: Random) -> int:
    return random.getrandbits(63)


PERTURBATIONS = (
    Corruption(
        "gaussian_noise",
        "Gaussian noise is added to all numbers, as in a dark room.",
        lambda level, random: Noisy(STD[level], _seed(random)),
    ),
    Corruption(
        "shot_noise",
        "Each number is drawn from a Poisson distribution, as few photons are.",
        lambda level, random: Shot(PHOTONS[level], _seed(random)),
    ),
    Corruption(
        "impulse_noise",
        "A share of the numbers is black or white.",
        lambda level, random: Impulse(SHARE[level], _seed(random)),
    ),
    Corruption(
        "speckle_noise",
        "Gaussian noise is added in proportion to each number.",
        lambda level, random: Speckled(SPECKLE[level], _seed(random)),
    ),
)
