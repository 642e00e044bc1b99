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
        hole_HW: where the user's image is transparent, for images that are to be completed;
            None where it is not, or nobody asks.
        orientation: the EXIF tag by which its pixels were turned; 1 where they were not.
        truncated: what is said of it where its file ends early and some pixels are not known.
    """

    pixels_HWC: np.ndarray
    width: int
    height: int
    hole_HW: np.ndarray | None = None
    orientation: int = 1
    truncated: str = ""


def resize(
    image: PILImage.Image, size: tuple[int, int], hole: PILImage.Image | None = None
) -> LoadedImage:
    """Stretch an RGB image to `size` (height, width), and with it the mask of its hole (L).

    Boxes are fractions of each axis, so a stretch leaves them as they are.
    """
    height, width = size
    hole_HW = None
    if hole is not None:
        hole_HW = np.asarray(hole.resize((width, height), PILImage.Resampling.BOX)) >= 128
    resized = image
    if (image.height, image.width) != (height, width):
        resized = image.resize((width, height), PILImage.Resampling.BICUBIC)
    pixels_HWC = np.asarray(resized, dtype=np.uint8)
    return LoadedImage(pixels_HWC, image.width, image.height, hole_HW)
