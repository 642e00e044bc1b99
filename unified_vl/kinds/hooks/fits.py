"""How an image of other proportions becomes what the network reads, and where it lies in that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Pack:
    """Each image in a grid of its own, of squares with so many pixels a side.

    It is resized to about its own proportions, with at most as many squares as the rectangle has
    (Pix2Struct, arXiv 2210.03347, section 2.1).
    """

    side: int

    def most(self, size: tuple[int, int]) -> int:
        """Squares of the rectangle (height, width)."""
        return (size[0] // self.side) * (size[1] // self.side)

    def grid(self, image: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of squares of an image (width, height), one at least.

        Whole numbers all the way: a square image has the grid of a square rectangle.
        """
        most, (width, height) = self.most(size), image
        rows, columns = isqrt(most * height // width), isqrt(most * width // height)
        return min(max(rows, 1), most), min(max(columns, 1), most)


Fit = Literal["stretch", "pad"] | Pack


def fit_of(vision: Mapping[str, Any]) -> Fit:
    """What the `vision` keys of a model say, with the side of squares where each has its grid."""
    fit: Literal["stretch", "pad", "pack"] = vision.get("fit", "stretch")
    return Pack(int(vision["patch_size"])) if fit == "pack" else fit


@dataclass(frozen=True, slots=True)
class Content:
    """The part of the rectangle that an image fills, as fractions of its sides."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


WHOLE = Content()


def fitted_size(fit: Fit, image: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) in pixels of what an image (width, height) becomes."""
    if not isinstance(fit, Pack):
        return size
    rows, columns = fit.grid(image, size)
    return rows * fit.side, columns * fit.side


def content_box(fit: Fit, image: tuple[int, int], size: tuple[int, int]) -> tuple[int, ...]:
    """Left, top, width and height in pixels of where an image lies.

    Args:
        fit: `stretch` fills the rectangle; `pad` keeps the ratio of the sides, and centres; `Pack`
            fills a rectangle of the image's own.
        image: its width and height.
        size: (height, width) of the rectangle.
    """
    height, width = fitted_size(fit, image, size)
    if fit != "pad":
        return 0, 0, width, height
    scale = min(width / image[0], height / image[1])
    across, down = (max(1, round(side * scale)) for side in image)
    across, down = min(across, width), min(down, height)
    return (width - across) // 2, (height - down) // 2, across, down


def content_of(fit: Fit, image: tuple[int, int], size: tuple[int, int]) -> Content:
    """The same as fractions of the rectangle."""
    left, top, across, down = content_box(fit, image, size)
    height, width = fitted_size(fit, image, size)
    return Content(left / width, top / height, across / width, down / height)
