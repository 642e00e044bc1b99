"""Images on their way into the network: 8-bit RGB at the network's size.

Legend: H height, W width, C channels (RGB).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image at the network's size that remembers how large the user's was.

    Attributes:
        pixels_HWC: uint8 RGB.
        width: pixels of the user's image, after its EXIF orientation was applied.
        height: the same.
    """

    pixels_HWC: np.ndarray
    width: int
    height: int


def resize(image: PILImage.Image, size: tuple[int, int]) -> LoadedImage:
    """Stretch an RGB image to `size` (height, width).

    Boxes are fractions of each axis, so a stretch leaves them as they are.
    """
    height, width = size
    resized = image
    if (image.height, image.width) != (height, width):
        resized = image.resize((width, height), PILImage.Resampling.BICUBIC)
    pixels_HWC = np.asarray(resized, dtype=np.uint8)
    return LoadedImage(pixels_HWC, image.width, image.height)
