"""Images as codes: what an image tokenizer must do for the rest of the project.

Legend: B batch, H height, W width, h and w those of the grid of codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

GREY = 128  # of what is masked, where a person looks


class ImageCodec(Protocol):
    """An image tokenizer, seen from where images and tokens meet."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever a code would mean something else."""

    @property
    def codes(self) -> int:
        """Number of different codes."""

    @property
    def downsampling(self) -> int:
        """Pixels of a side of what one code stands for."""

    def encode(self, pixels_BHW3: np.ndarray) -> np.ndarray:
        """Codes (B, h, w) of uint8 RGB images."""

    def decode(self, codes_Bhw: np.ndarray) -> np.ndarray:
        """uint8 RGB images (B, H, W, 3) of codes."""

    def save_pretrained(self, directory: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Write what it is made of and its weights."""


def code_grid(height: int, width: int, side: int) -> tuple[int, int]:
    """Rows and columns of the codes of an image, each of a square of `side` pixels.

    Raises:
        ValueError: when the image cannot be cut into such squares.
    """
    if height % side or width % side or not height or not width:
        raise ValueError(f"{height} x {width} pixels cannot be cut into squares of {side}")
    return height // side, width // side


@dataclass(frozen=True)
class CodeImages:
    """The images of a model that go in and out as codes; all have one size.

    Attributes:
        codec: the image tokenizer.
        grid: rows and columns of an image's codes.
    """

    codec: ImageCodec
    grid: tuple[int, int]

    @property
    def places(self) -> int:
        """Codes of an image."""
        return self.grid[0] * self.grid[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of an image in pixels."""
        side = self.codec.downsampling
        return self.grid[0] * side, self.grid[1] * side

    def seen(self, images: Sequence[Sequence[int | None]]) -> np.ndarray:
        """What images in codes look like (uint8 RGB, BHWC): grey where a code is None."""
        known = [[0 if code is None else code for code in codes] for codes in images]
        masked = [[code is None for code in codes] for codes in images]
        pixels_BHWC = self.codec.decode(np.array(known, np.int64).reshape(-1, *self.grid)).copy()
        masked_Bhw = np.array(masked, bool).reshape(-1, *self.grid)
        side = self.codec.downsampling
        pixels_BHWC[masked_Bhw.repeat(side, axis=1).repeat(side, axis=2)] = GREY
        return pixels_BHWC
