"""Images on their way into the network: 8-bit RGB at the network's size.

Legend: H height, W width, C channels (RGB).
"""

from __future__ import annotations

import numpy as np
from PIL import Image as PILImage

from unified_vl.kinds.hooks.segments import LoadedImage

__all__ = ["LoadedImage", "resize"]


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
