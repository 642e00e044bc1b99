"""Images that nobody has decoded: what a row's length needs of them, which is little or nothing.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL.PngImagePlugin import PngImageFile

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.opening import orientation_of, refuse_too_large
from unified_vl.errors import BadRow
from unified_vl.kinds.hooks.fits import WHOLE, Content, content_of, fitted_size
from unified_vl.kinds.hooks.frames import TURNED
from unified_vl.remote.urls import is_url

_HELD = (bytes, bytearray, memoryview, np.ndarray, PILImage.Image)  # the image itself
_TURNS = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type exif")  # what may turn a PNG


class UnreadImage(LoadedImage):
    """An image that is not decoded unless its pixels are asked for; then each time, and not kept.

    Args:
        decode: gives the image.
        upright: width, height and EXIF orientation, where its header was read.
        content: where it will lie in what the network reads.
        shape_HW: of that, where it is known.
    """

    __slots__ = ("_content", "_decode", "_shape_HW", "_upright")
    _content: Content
    _decode: Callable[[], LoadedImage]
    _shape_HW: tuple[int, int] | None
    _upright: tuple[int, int, int] | None

    def __init__(
        self,
        decode: Callable[[], LoadedImage],
        upright: tuple[int, int, int] | None = None,
        content: Content = WHOLE,
        shape_HW: tuple[int, int] | None = None,
    ) -> None:
        for name, value in zip(self.__slots__, (content, decode, shape_HW, upright), strict=True):
            object.__setattr__(self, name, value)  # the class of loaded images is frozen

    @property
    def size(self) -> tuple[int, int] | None:
        return None if self._upright is None else self._upright[:2]

    @property
    def shape_HW(self) -> tuple[int, int]:
        return self._decode().shape_HW if self._shape_HW is None else self._shape_HW

    @property
    def pixels_HWC(self) -> np.ndarray:
        return self._decode().pixels_HWC

    @property
    def hole_HW(self) -> np.ndarray | None:
        return self._decode().hole_HW

    @property
    def width(self) -> int:
        return self._decode().width if self._upright is None else self._upright[0]

    @property
    def height(self) -> int:
        return self._decode().height if self._upright is None else self._upright[1]

    @property
    def orientation(self) -> int:
        return self._decode().orientation if self._upright is None else self._upright[2]

    @property
    def truncated(self) -> str:
        return ""  # who decodes it will see

    @property
    def content(self) -> Content:
        return self._content


class UnreadImages(ImageLoader):
    """Stands in for a loader where rows are measured.

    Args:
        images: what decodes them.
        sized: whether headers are read: for places, which are in pixels, and where the number of
            an image's tokens is by its size. Otherwise it is only looked whether files are there.
    """

    def __init__(self, images: ImageLoader, *, sized: bool) -> None:
        super().__init__(images.root, images.size, 0, holes=images.holes, fit=images.fit)
        self.decoding = images
        self._sized = sized

    def load(
        self, value: object, where: str, linked: Sequence[Path] = (), *, truncated: bool = False
    ) -> LoadedImage:
        """The image that a row holds, not decoded.

        Raises:
            BadRow: when it is missing; where headers are read, also for another format, and for
                one that is too large.
        """
        decode = partial(self.decoding.load, value, where, linked, truncated=truncated)
        if not self._sized and self._is_there(value):
            return UnreadImage(decode)
        found = self._load(value, where, linked)
        return self.later(decode, (found.width, found.height), found.orientation)

    def later(
        self,
        decode: Callable[[], LoadedImage],
        size: tuple[int, int],
        orientation: int = 1,
    ) -> UnreadImage:
        """An image of a size (width, height) that is known, not decoded."""
        shape = self.size or size[::-1]
        content = content_of(self.fit, size, shape)
        fitted = fitted_size(self.fit, size, shape)
        return UnreadImage(decode, (*size, orientation), content, fitted)

    def at(self, size: tuple[int, int]) -> ImageLoader:
        return UnreadImages(self.decoding.at(size), sized=self._sized)

    def _is_there(self, value: object) -> bool:
        """Whether a value is an image, or a path names a file; if not, `_load` says what it is."""
        if isinstance(value, Mapping):
            value = value.get("file") or value.get("bytes") or value.get("path")
        if isinstance(value, (str, Path)):
            if self.remote or is_url(str(value)):
                return True  # whoever reads it will see
            try:  # half the time of a `Path`: every rank asks of all rows
                return os.path.isfile(os.path.join(self.root or "", value))  # noqa: PTH113, PTH118
            except ValueError:  # a NUL byte
                return False
        return isinstance(value, _HELD)

    def _cached(self, key: str) -> LoadedImage | None:
        return None

    def _keep(self, key: str, image: LoadedImage) -> None:
        pass

    def _prepare(
        self, image: PILImage.Image, where: str, name: str, full: tuple[int, int] | None = None
    ) -> LoadedImage:
        """What the header says."""
        refuse_too_large(image, where, name)
        try:
            orientation = 1 if _is_plain_png(image) else orientation_of(image)
        except Exception as error:  # Pillow's parsers raise almost anything on hostile bytes
            raise BadRow(f"the image {name} is broken or truncated: {error}", file=where) from error
        size = full or image.size
        width, height = size[::-1] if orientation >= TURNED else size
        return UnreadImage(_undecodable, (width, height, orientation))


def _is_plain_png(image: PILImage.Image) -> bool:
    """Whether nothing turns a PNG. What may can stand behind its pixels: Pillow decodes it then."""
    file: Any = getattr(image, "fp", None)
    if not isinstance(image, PngImageFile) or file is None:
        return False
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return not any(word in content for word in _TURNS)


def _undecodable() -> LoadedImage:
    raise ValueError("only the size of this image is known")
