"""The typed pieces of a sequence that kinds of values make, beside places in an image.

Legend: R regions, F numbers of a feature, 4 left, top, right and bottom.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unified_vl.kinds.hooks.fits import WHOLE, Content

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text in any script."""

    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A named token of the tag range: `language:de`, `task:emoji_caption`."""

    name: str


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
        content: where in `pixels_HWC` the user's image lies.
        changes: what training did to its pixels (the run's `augment`), in words.
    """

    pixels_HWC: np.ndarray
    width: int
    height: int
    hole_HW: np.ndarray | None = None
    orientation: int = 1
    truncated: str = ""
    content: Content = WHOLE
    changes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the user's image; None where nobody has looked."""
        return self.width, self.height

    @property
    def shape_HW(self) -> tuple[int, int]:
        """Rows and columns of `pixels_HWC`."""
        height, width = self.pixels_HWC.shape[:2]
        return height, width


@dataclass(frozen=True, slots=True)
class Image:
    """An image, already at the size that the network reads.

    Attributes:
        image: its pixels.
        frame: its number in a video, from 0; None of an image that is none of a video.
    """

    image: LoadedImage
    frame: int | None = None


def frame_tag(number: int) -> str:
    """The tag that holds the places of a video's frame, by its number from 0."""
    return f"frame:{number}"


@dataclass(frozen=True, slots=True)
class Clip:
    """A video: the frames of it that the model reads.

    Attributes:
        frames: in their order.
        seconds: how long the video is; None where nothing says it.
    """

    frames: tuple[Image, ...]
    seconds: float | None = None


def region_tag(number: int) -> str:
    """The tag that names a region of an image, by its number from 0."""
    return f"region:{number}"


def region_number(tag: str) -> int | None:
    """The number of the region that a tag names; None for another tag."""
    number = tag.removeprefix("region:")
    return int(number) if number != tag and number.isdecimal() else None


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of an image that a detector found, best first, each with a feature of its own.

    Attributes:
        boxes_R4: float32, as fractions of the image.
        features_RF: float32; None where they were left unread, and only their number is asked for.
        classes_R: int64, the detector's class of each; -1 where nothing says it.
        scores_R: float32, how sure it was; 1 where nothing says it.
        hidden_R: bool, those whose features the model is not shown, to guess them.
        attributes_R: int64, as the classes.
        size: (width, height) in pixels of the image; None where nothing says it.
        labels_RK: float32, the probabilities of all of the detector's classes; None where nothing
            says them, or nothing asks for them.
    """

    boxes_R4: np.ndarray
    features_RF: np.ndarray | None
    classes_R: np.ndarray
    scores_R: np.ndarray
    hidden_R: np.ndarray
    attributes_R: np.ndarray
    size: tuple[int, int] | None = None
    labels_RK: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes_R4)


@dataclass(frozen=True, slots=True)
class ImageCodes:
    """An image in the codes of the image tokenizer.

    Attributes:
        codes: row by row; None where it is masked.
        columns: of the grid.
        image: what they were made of, where that is known, at the size that has so many codes.
    """

    codes: tuple[int | None, ...]
    columns: int
    image: LoadedImage | None = field(default=None, compare=False, repr=False)
