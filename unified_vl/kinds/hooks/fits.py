"""Where an image lies in the rectangle that the network reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fit = Literal["stretch", "pad"]


@dataclass(frozen=True, slots=True)
class Content:
    """The part of the rectangle that an image fills, as fractions of its sides."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


WHOLE = Content()


def content_box(fit: Fit, image: tuple[int, int], size: tuple[int, int]) -> tuple[int, ...]:
    """Left, top, width and height in pixels of where an image lies.

    Args:
        fit: `stretch` fills the rectangle; `pad` keeps the ratio of the sides, and centres.
        image: its width and height.
        size: (height, width) of the rectangle.
    """
    height, width = size
    if fit == "stretch":
        return 0, 0, width, height
    scale = min(width / image[0], height / image[1])
    across, down = (max(1, round(side * scale)) for side in image)
    across, down = min(across, width), min(down, height)
    return (width - across) // 2, (height - down) // 2, across, down


def content_of(fit: Fit, image: tuple[int, int], size: tuple[int, int]) -> Content:
    """The same as fractions of the rectangle."""
    left, top, across, down = content_box(fit, image, size)
    height, width = size
    return Content(left / width, top / height, across / width, down / height)
