"""What a JPEG of low quality leaves of a picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from PIL import Image as PILImage
from pydantic import Field

from unified_vl.augmentation.augmentation import Augmentation, Change, falling
from unified_vl.parts import Part, Problem

Quality = Annotated[int, Field(ge=1, le=100)]


class JpegKeys(Part):
    """Of jpeg."""

    quality: tuple[Quality, Quality] = Field(
        default=(30, 90),
        description="jpeg: lowest and highest quality, as libjpeg counts it.",
        examples=[[50, 90]],
    )


@dataclass(frozen=True)
class Compressed(Change):
    """Written as a JPEG of this quality, and read again."""

    quality: int

    def __repr__(self) -> str:
        return f"jpeg({self.quality})"

    def pixels(self, image: PILImage.Image) -> PILImage.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=self.quality)
        return PILImage.open(file).convert("RGB")


class Jpeg(Augmentation):
    """As torchvision's JPEG."""

    name = "jpeg"
    about = "The picture is compressed as a JPEG."
    keys = JpegKeys
    rate = 0.5

    def problems(self, keys: Any) -> Iterator[Problem]:
        return falling("quality", keys.quality)

    def draw(self, keys: Any, random: Random, size: tuple[int, int]) -> Compressed:
        return Compressed(random.randint(*keys.quality))
