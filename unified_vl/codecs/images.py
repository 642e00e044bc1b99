"""Images on their way into the network: 8-bit RGB at the network's size.

Legend: H height, W width, C channels (RGB).
"""

from __future__ import annotations

import numpy as np
from PIL import Image as PILImage

from unified_vl.kinds.hooks.fits import Fit, content_box, content_of, fitted_size
from unified_vl.kinds.hooks.segments import LoadedImage

__all__ = ["LoadedImage", "resize"]

PADDING = (128, 128, 128)  # the middle of what the network reads


def resize(
    image: PILImage.Image,
    size: tuple[int, int],
    hole: PILImage.Image | None = None,
    fit: Fit = "stretch",
    of: tuple[int, int] | None = None,
) -> LoadedImage:
    """Bring an RGB image to `size` (height, width), and its mask of its hole (L) unless padded.

    Places are fractions of each axis, so a stretch leaves them as they are, and so does a packed
    image's size of its own; with padding, which is grey, `content` says where the image is. `of` is
    the user's image's width and height, where this one was decoded smaller.
    """
    of = of or image.size
    if fit == "pad":
        return _padded(image, size, of)
    height, width = fitted_size(fit, of, size)
    hole_HW = None
    if hole is not None:
        hole_HW = np.asarray(hole.resize((width, height), PILImage.Resampling.BOX)) >= 128
    resized = image
    if (image.height, image.width) != (height, width):
        resized = image.resize((width, height), PILImage.Resampling.BICUBIC)
    pixels_HWC = np.asarray(resized, dtype=np.uint8)
    return LoadedImage(pixels_HWC, *of, hole_HW)


def _padded(image: PILImage.Image, size: tuple[int, int], of: tuple[int, int]) -> LoadedImage:
    left, top, across, down = content_box("pad", of, size)
    within = image
    if image.size != (across, down):
        within = image.resize((across, down), PILImage.Resampling.BICUBIC)
    canvas = PILImage.new("RGB", size[::-1], PADDING)
    canvas.paste(within, (left, top))
    pixels_HWC = np.asarray(canvas, dtype=np.uint8)
    content = content_of("pad", of, size)
    return LoadedImage(pixels_HWC, *of, content=content)
