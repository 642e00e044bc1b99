"""Images as codes: what an image tokenizer must do for the rest of the project.

Legend: B batch, H height, W width, h and w those of the grid of codes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


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
