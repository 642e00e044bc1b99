"""Pictures out of focus, or taken while something moved.

Legend: H height, W width, K side of a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.augmentation.blur import Blurred
from unified_vl.perturbation.images.corruption import (
    Corruption,
    convolved,
    from_unit,
    scale,
    to_unit,
)

SIGMA = (1, 2, 3, 4, 6)
DISK = (3, 4, 6, 8, 10)
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, sigma
ZOOMS = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end, step
FINE = 5  # parts of a pixel's side, to see how much of it a disk covers
Kernel = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scaled(Change):
    """With a Gaussian of this standard deviation, in pixels of 224."""

    sigma: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return Blurred(self.sigma * scale(image.size)).pixels(image)


@dataclass(frozen=True)
class Defocused(Change):
    """With a disk of this radius, in pixels of 224, as a lens makes of a point."""

    radius: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return from_unit(convolved(to_unit(image), disk(self.radius * scale(image.size))))


@dataclass(frozen=True)
class Moved(Change):
    """Along a line: one side of a Gaussian, as ImageMagick's motion blur has it.

    Attributes:
        radius: where the Gaussian ends, in pixels of 224.
        sigma: its standard deviation, in the same.
        angle: of the line, in degrees.
    """

    radius: float
    sigma: float
    angle: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        by = scale(image.size)
        kernel_KK = line(self.radius * by, self.sigma * by, self.angle)
        return from_unit(convolved(to_unit(image), kernel_KK))


@dataclass(frozen=True)
class Zoomed(Change):
    """The mean of the picture and of it zoomed by factors from 1 below `end`."""

    end: float
    step: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        width, height = image.size
        factors = np.arange(1, self.end, self.step)
        total_HW3 = to_unit(image)
        for factor in map(float, factors):
            left, top = width / 2 * (1 - 1 / factor), height / 2 * (1 - 1 / factor)
            zoomed = image.transform(
                image.size,
                PILImage.Transform.AFFINE,
                (1 / factor, 0, left, 0, 1 / factor, top),
                resample=PILImage.Resampling.BILINEAR,
            )
            total_HW3 = total_HW3 + to_unit(zoomed)
        return from_unit(total_HW3 / (len(factors) + 1))


def disk(radius: float) -> Kernel:
    """How much of each pixel a disk covers, (K, K)."""
    half = ceil(radius)
    offsets = (np.arange(FINE) - (FINE - 1) / 2) / FINE
    places = (np.arange(-half, half + 1)[:, None] + offsets).reshape(-1)
    inside = places[:, None] ** 2 + places**2 <= radius**2
    side = 2 * half + 1
    kernel_KK: Kernel = inside.reshape(side, FINE, side, FINE).mean(axis=(1, 3))
    if not kernel_KK.any():  # of less than a part of a pixel
        kernel_KK[half, half] = 1
    return kernel_KK


def line(radius: float, sigma: float, angle: float) -> Kernel:
    """A Gaussian along one half of a line, (K, K); a place between pixels is of the nearest two."""
    reach = 2 * ceil(radius)
    kernel_KK = np.zeros((2 * reach + 3, 2 * reach + 3))
    for step in np.arange(0, reach + 0.5, 0.5):
        weight = np.exp(-(step**2) / (2 * max(sigma, 1e-3) ** 2))
        x, y = reach + 1 + step * cos(radians(angle)), reach + 1 + step * sin(radians(angle))
        column, row = int(x), int(y)
        right, below = x - column, y - row
        kernel_KK[row, column] += weight * (1 - right) * (1 - below)
        kernel_KK[row, column + 1] += weight * right * (1 - below)
        kernel_KK[row + 1, column] += weight * (1 - right) * below
        kernel_KK[row + 1, column + 1] += weight * right * below
    return kernel_KK


PERTURBATIONS = (
    Corruption(
        "gaussian_blur",
        "The picture is blurred by a Gaussian.",
        lambda level, random: Scaled(SIGMA[level]),
    ),
    Corruption(
        "defocus_blur",
        "The picture is out of focus: every point is a disk.",
        lambda level, random: Defocused(DISK[level]),
    ),
    Corruption(
        "motion_blur",
        "The camera moved, in a drawn direction.",
        lambda level, random: Moved(*MOTION[level], random.uniform(-45, 45)),
    ),
    Corruption(
        "zoom_blur",
        "The camera moved towards the middle of the picture.",
        lambda level, random: Zoomed(*ZOOMS[level]),
    ),
)
