"""Something stands before a part of the picture.

Not one of Hendrycks and Dietterich's: a grey rectangle, as in cutout (DeVries and Taylor, 2017,
arXiv 1708.04552).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import FILL, Change
from unified_vl.perturbation.images.corruption import Corruption

AREA = (0.05, 0.1, 0.2, 0.3, 0.45)  # of the picture


@dataclass(frozen=True)
class Occluded(Change):
    """Behind a grey rectangle of the picture's proportions.

    Attributes:
        area: its share of the picture.
        left: how much of what is beside it lies on its left.
        above: the same of what is above it.
    """

    area: float
    left: float
    above: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        width, height = (max(1, round(side * self.area**0.5)) for side in image.size)
        x, y = (image.width - width) * self.left, (image.height - height) * self.above
        found = image.copy()
        found.paste(FILL, (round(x), round(y), round(x) + width, round(y) + height))
        return found


def _draw(level: int, random: Random) -> Occluded:
    return Occluded(AREA[level], random.random(), random.random())


PERTURBATIONS = (
    Corruption("occlusion", "A grey rectangle at a drawn place hides a part of it.", _draw),
)
