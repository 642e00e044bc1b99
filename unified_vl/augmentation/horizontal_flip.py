"""Pictures as a mirror shows them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image as PILImage
from PIL import ImageOps

from unified_vl.augmentation.augmentation import Augmentation, Change
from unified_vl.kinds.hooks.motion import MIRRORED, Motion


@dataclass(frozen=True)
class Mirrored(Change):
    """Left and right have changed places."""

    def __repr__(self) -> str:
        return "horizontal_flip"

    @property
    def motion(self) -> Motion:
        return MIRRORED

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return ImageOps.mirror(image)


class HorizontalFlip(Augmentation):
    """As torchvision's RandomHorizontalFlip. A task whose texts say left and right, read letters
    or name things in their order forbids it."""

    name = "horizontal_flip"
    about = "Left and right change places."
    rate = 0.5
    moves = True

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Mirrored:
        return Mirrored()
