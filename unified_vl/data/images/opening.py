"""Bytes of image files to 8-bit RGB; they are not trusted."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, ImageOps
from PIL import Image as PILImage
from PIL.JpegImagePlugin import JpegImageFile

from unified_vl.data.images.high_bit_depth import to_8_bit
from unified_vl.errors import BadRow
from unified_vl.image_formats import HEIC_HINT, expected_formats, readable_formats

MOST_PIXELS = 64_000_000
AT_ONCE = 1 << 20  # bytes for a decoder; Pillow's 64 KiB cost a JPEG of 112 KiB 4 % of its time
SPARE = 2  # times as large as needed, at least, is what a JPEG is decoded at
_LIMIT = "at most 64 million pixels"


def open_image(file: BinaryIO, where: str, name: str) -> PILImage.Image:
    """Read the header of an image; nothing is decoded yet.

    Raises:
        BadRow: when the format is none that is read (`image_formats.py`).
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own limit is higher than that of `to_rgb`
            warnings.simplefilter("ignore", PILImage.DecompressionBombWarning)
            image = PILImage.open(file, formats=readable_formats())
            image.decodermaxblock = AT_ONCE
            return image
    except PILImage.DecompressionBombError as error:
        # what Pillow refuses outright is far above our limit
        raise BadRow(f"the image {name} is too large", file=where, expected=_LIMIT) from error
    except Exception as error:  # Pillow's parsers raise almost anything on hostile bytes
        raise BadRow(
            f"the image {name} cannot be read",
            file=where,
            expected=HEIC_HINT if _looks_like_heic(file) else expected_formats(),
        ) from error


def _looks_like_heic(file: BinaryIO) -> bool:
    """Whether the first box is that of a HEIC image (ISO/IEC 23008-12)."""
    with contextlib.suppress(OSError, ValueError):
        file.seek(4)
        return file.read(8) in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc")
    return False


def decode_smaller(image: PILImage.Image, side: int) -> None:
    """Let a JPEG that is far larger than it is needed be decoded at 1/2, 1/4 or 1/8 of its size.

    It stays at least twice as large on either axis, so what is resized from it looks the same
    (Pillow's `Image.thumbnail` goes by the same factor). Other formats have no such decoder.

    Args:
        image: as it was opened; nothing is decoded yet.
        side: the longer side, in pixels, of what it will become.
    """
    if isinstance(image, JpegImageFile):
        image.draft(None, (SPARE * side, SPARE * side))


def refuse_too_large(image: PILImage.Image, where: str, name: str) -> None:
    """By its header.

    Raises:
        BadRow: for more than 64 million pixels.
    """
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadRow(f"the image {name} is {width} x {height} pixels", file=where, expected=_LIMIT)


def to_rgb(image: PILImage.Image, where: str, name: str) -> PILImage.Image:
    """Decode an image, upright (EXIF) and in 8-bit RGB, on white where it is transparent.

    Raises:
        BadRow: before decoding when it has more than 64 million pixels; when the file
            is truncated or broken.
    """
    refuse_too_large(image, where, name)
    try:
        image.load()
        upright = image  # Pillow copies what needs no turn, and what is in RGB already
        if orientation_of(image) != 1:
            upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            return to_8_bit(upright, image)
        if upright.has_transparency_data:
            layer = upright.convert("RGBA")
            ground = PILImage.new("RGBA", layer.size, "white")
            return PILImage.alpha_composite(ground, layer).convert("RGB")
        return upright if upright.mode == "RGB" else upright.convert("RGB")
    except Exception as error:  # as above: the bytes are not trusted
        raise BadRow(f"the image {name} is broken or truncated: {error}", file=where) from error


def orientation_of(image: PILImage.Image) -> int:
    """How EXIF turns an image: 2 to 8; 1 where it does not, or says nothing that is known."""
    said = image.getexif().get(ExifTags.Base.Orientation, 1)
    return said if said in range(2, 9) else 1


def hole(image: PILImage.Image) -> PILImage.Image | None:
    """White (L, upright) where an image that was decoded is transparent; None where it is not."""
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return None
    alpha = upright.convert("RGBA").getchannel("A")
    return alpha.point(lambda value: 255 * (value < 128))


def from_array(pixels: np.ndarray[Any, Any], where: str) -> PILImage.Image:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise BadRow(
            f"found an array of {pixels.dtype} [{', '.join(map(str, pixels.shape))}]",
            file=where,
            expected="uint8 [height, width] or [height, width, 3 or 4]",
        )
    return PILImage.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)
