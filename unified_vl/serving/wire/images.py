"""Image files of people nobody knows, decoded within limits."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import BinaryIO

from PIL import Image as PILImage

from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.errors import UserError
from unified_vl.serving.faults import Fault, TooLarge
from unified_vl.serving.limits import Limits

_DATA_URL = re.compile(r"data:(?:(?:image|video)/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.I)
WANTED = "a data URL: data:image/png;base64,... (or image/jpeg, image/webp, ...)"


def read_image(
    file: BinaryIO, size: int, field: str, limits: Limits, *, holes: bool = False
) -> PILImage.Image:
    """An image file, upright and in RGB; with `holes` as it is, transparency and all.

    Args:
        file: open for reading, and for seeking.
        size: of it, in bytes.
        field: what the person who sent it calls it.
        limits: `file` and `pixels` count.
        holes: whether its transparent parts say something.

    Raises:
        UserError: before anything is decoded when the file or the picture is too large;
            when it is no picture.
    """
    if size > limits.file:
        raise TooLarge(
            f"the file has {size:,} bytes", field=field, expected=f"at most {limits.file:,}"
        )
    try:
        image = open_image(file, "", "")
        if image.width * image.height > limits.pixels:
            raise TooLarge(
                f"the picture has {image.width:,} x {image.height:,} pixels",
                expected=f"at most {limits.pixels:,} in all",
            )
        rgb = to_rgb(image, "", "")
        return image.copy() if holes else rgb
    except UserError as error:
        error.field, error.file = field, None
        raise


def bytes_of(url: str, field: str) -> bytes:
    """The bytes of a data URL (RFC 2397) in base64.

    Raises:
        Fault: for any other text.
    """
    found = _DATA_URL.match(url[:300])
    if found is None:
        shown = url if len(url) <= 60 else f"{url[:57]}..."
        raise Fault(f"found {shown!r} in place of an image", field=field, expected=WANTED)
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault(f"is not base64: {error}", field=field, expected=WANTED) from error


def decoded(data: bytes, field: str, limits: Limits, *, holes: bool = False) -> PILImage.Image:
    """The image in the bytes of a file; see `read_image`."""
    return read_image(io.BytesIO(data), len(data), field, limits, holes=holes)
