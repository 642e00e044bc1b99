"""Images on which there is nothing to see.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

import numpy as np

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.codecs.segments import Image
from unified_vl.data.example import Example
from unified_vl.errors import UserError

LEAST_SPREAD = 1.5  # standard deviation of the channel that varies most, of 0 to 255
BLACK = 20  # no value above this: 12 bits in 16 reach 16
REMEDY = (
    "look at one (unified-vl show SPEC --html PAGE): a range of 16 bits that is not full, white "
    "lines on a transparent ground, an empty scan?"
)


class PlainImages:
    """Takes in the examples of one split, and says how many of their images are nearly one
    colour as the model sees them."""

    def __init__(self) -> None:
        self._images = self._plain = 0
        self._first = ""

    def add(self, example: Example) -> None:
        for segment in example.source:
            if isinstance(segment, Image):
                self._images += 1
                if _is_plain(segment.image.pixels_HWC):
                    self._plain += 1
                    self._first = self._first or example.where

    def report(self, findings: Findings) -> None:
        if not self._plain:
            return
        shown = share(self._plain, self._images).replace("rows", "images")
        error = UserError(f"{shown} are nearly one colour", file=self._first)
        findings.add(error, "warning", remedy=REMEDY, rate=self._plain / self._images)


def _is_plain(pixels_HWC: np.ndarray) -> bool:
    """Whether nothing can be seen: all is black, or hardly any pixel differs from another."""
    dark = int(pixels_HWC.max()) < BLACK
    return dark or float(pixels_HWC.std(axis=(0, 1)).max()) < LEAST_SPREAD
