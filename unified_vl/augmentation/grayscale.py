"""Pictures without colours."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Augmentation, Change


@dataclass(frozen=True)
class Grey(Change):
    """All colours as their brightness (ITU-R BT.601)."""

    def __repr__(self) -> str:
        return "grayscale"

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        return image.convert("L").convert("RGB")


class Grayscale(Augmentation):
    """As torchvision's RandomGrayscale."""

    name = "grayscale"
    about = "The picture loses its colours."
    rate = 0.1

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Grey:
        return Grey()
