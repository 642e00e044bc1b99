"""What there is of an image whose file ends too early.

Pillow has a switch for it, which holds for all images of a process at a time; here one image is
asked for. What is missing is grey (JPEG) or black.
"""

from __future__ import annotations

from PIL import Image as PILImage
from PIL.JpegImagePlugin import JpegImageFile

END_OF_JPEG = b"\xff\xd9"


def finish_truncated(image: PILImage.Image, error: BaseException | None) -> bool:
    """Take what could be decoded of an image for all of it.

    Args:
        image: whose `load` failed.
        error: by which it did.

    Returns:
        Whether that was because its file ends too early; otherwise nothing is done.
    """
    if not isinstance(error, OSError) or "image file is truncated" not in str(error):
        return False
    try:
        if isinstance(image, JpegImageFile):
            _end_jpeg(image)
        image.tile = []  # type: ignore[attr-defined]  # an ImageFile: nothing waits to be read
        image.load()
    except Exception:  # the bytes are not trusted: Pillow raises almost anything
        return False
    return True


def _end_jpeg(image: JpegImageFile) -> None:
    """Decode once more with an end: the decoder gives the last rows only when it sees one."""
    read = image.load_read
    left = 2  # ends that it may see; a third is no progress

    def read_or_end(size: int) -> bytes:
        nonlocal left
        found = read(size)
        if not found and left:
            left -= 1
            return END_OF_JPEG
        return found

    image.__dict__["load_read"] = read_or_end  # of this image alone
    try:
        image.load()
    except OSError:  # a scan that ends within a marker: what was decoded stays
        return
