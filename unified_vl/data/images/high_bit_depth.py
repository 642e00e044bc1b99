"""Grey images of more than 8 bits, by the range that their file states.

Legend: H height, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image as PILImage

# tags of TIFF 6.0: sections 8 (bilevel and grey), 19 (sample format)
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
LOWEST, HIGHEST = (340, 280), (341, 281)  # SMin/SMaxSampleValue, and Min/MaxSampleValue
WHITE_IS_ZERO = 0
SIGNED, FLOAT = 2, 3
FULL = (1.0, 255.0, 65535.0)  # what stands for white in floats
OVERSHOOT = 1.1  # of floats that were resized, which are a little above their white


def to_8_bit(image: PILImage.Image, opened: PILImage.Image) -> PILImage.Image:
    """An image of mode I or F (which Pillow would clip at 255) as RGB of 8 bits.

    The range is the one that a TIFF states in its tags, else that of its kind of numbers: all
    values of so many bits. Of floats it is 0 to 1, 0 to 255 or 0 to 65,535: the first that is
    not far below the largest of them. Other formats come from Pillow at 16 bits. What lies outside
    is clipped, and what is no number is black.

    Args:
        image: upright.
        opened: as it was opened, with its tags.
    """
    tags = getattr(opened, "tag_v2", {})
    grey_HW: np.ndarray[Any, Any] = np.asarray(image).astype(np.float64)
    low, high = _range(image.mode, tags, grey_HW)
    fraction_HW = np.nan_to_num((grey_HW - low) / (high - low), nan=0.0)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow turns these over at 8 bits alone
        fraction_HW = 1.0 - fraction_HW
    eight_HW = (np.clip(fraction_HW, 0.0, 1.0) * 255.0).round().astype(np.uint8)
    return PILImage.fromarray(eight_HW).convert("RGB")


def _range(mode: str, tags: Any, grey_HW: np.ndarray[Any, Any]) -> tuple[float, float]:
    kind, bits = _first(tags, SAMPLE_FORMAT), _first(tags, BITS)
    if mode.startswith("F") or kind == FLOAT:
        largest = np.max(grey_HW, where=np.isfinite(grey_HW), initial=0.0)
        low, high = 0.0, next((full for full in FULL if largest <= OVERSHOOT * full), FULL[-1])
    elif kind == SIGNED:
        low, high = -(2.0 ** ((bits or 16) - 1)), 2.0 ** ((bits or 16) - 1) - 1
    else:
        low, high = 0.0, 2.0 ** (bits or 16) - 1
    for tag in reversed(LOWEST):
        low = _first(tags, tag) if tag in tags else low
    for tag in reversed(HIGHEST):
        high = _first(tags, tag) if tag in tags else high
    return (low, high) if high > low else (0.0, 65535.0)


def _first(tags: Any, tag: int) -> float:
    """The value of a tag, of the first sample where there are several; 0 without one."""
    value = tags.get(tag, 0)
    return float(value[0] if isinstance(value, tuple) else value)
