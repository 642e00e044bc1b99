"""What too few bits leave of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.augmentation.jpeg import Compressed
from unified_vl.perturbation.images.corruption import Corruption

QUALITY = (25, 18, 15, 10, 7)
SIDES = (0.6, 0.5, 0.4, 0.3, 0.25)


@dataclass(frozen=True)
class Pixelated(Change):
    """Made smaller, to this share of each side, and as large as before."""

    share: float

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        width, height = (max(1, int(side * self.share)) for side in image.size)
        box = PILImage.Resampling.BOX
        return image.resize((width, height), box).resize(image.size, box)


PERTURBATIONS = (
    Corruption(
        "pixelate",
        "The picture has fewer, larger pixels.",
        lambda level, random: Pixelated(SIDES[level]),
    ),
    Corruption(
        "jpeg_compression",
        "The picture is a JPEG of low quality.",
        lambda level, random: Compressed(QUALITY[level]),
    ),
)
