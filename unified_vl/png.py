"""Pictures as the bytes of a PNG file, and as a URL that holds them."""

from __future__ import annotations

import base64
import io

from PIL import Image


def png(image: Image.Image, *, smallest: bool = False) -> bytes:
    """The bytes of a PNG file.

    Args:
        image: the picture.
        smallest: take the time to make it small.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=smallest)
    return buffer.getvalue()


def data_url(image: Image.Image, *, smallest: bool = False) -> str:
    """The picture itself as what a page would fetch (RFC 2397)."""
    return f"data:image/png;base64,{base64.b64encode(png(image, smallest=smallest)).decode()}"
