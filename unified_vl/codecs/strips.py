"""Images that have grids of their own, as arrays of one shape: their squares side by side.

A batch is one tensor, so an image that is packed (`fit: pack`) travels as a strip: its squares row
by row, behind them black ones up to as many as an image may have, and before them two that are no
picture: their first pixels say how many rows and columns there are.
`unified_vl.model.image_encoders.packed_images` reads it.

Legend: H height, W width, C channels (RGB), S side of a square, X width of a strip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HEAD = 2  # squares before those of the image
BASE = 256  # of a number's digits in the three channels of a pixel, the highest first


def to_strip(pixels_HWC: np.ndarray, side: int, most: int) -> np.ndarray:
    """The strip (S, X, 3) of an image, X = (HEAD + most) * S.

    Args:
        pixels_HWC: uint8, whole squares.
        side: of a square in pixels.
        most: squares that an image may have.
    """
    rows, columns = grid_of(pixels_HWC.shape, side)
    squares = pixels_HWC.reshape(rows, side, columns, side, 3).transpose(1, 0, 2, 3, 4)
    strip_SXC = np.zeros((side, (HEAD + most) * side, 3), np.uint8)
    strip_SXC[0, 0], strip_SXC[0, side] = _digits(rows), _digits(columns)
    strip_SXC[:, HEAD * side :][:, : rows * columns * side] = squares.reshape(side, -1, 3)
    return strip_SXC


def grid_of(shape: Sequence[int], side: int) -> tuple[int, int]:
    """Rows and columns of squares of an image (H, W) or (H, W, C)."""
    return shape[0] // side, shape[1] // side


def _digits(number: int) -> tuple[int, int, int]:
    return number // BASE**2, number // BASE % BASE, number % BASE
