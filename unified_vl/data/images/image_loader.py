"""Images that rows name, at the network's size: where they lie, and which are kept.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np
from PIL import Image as PILImage

from unified_vl.codecs.images import LoadedImage, resize
from unified_vl.data.images.opening import (
    decode_smaller,
    from_array,
    hole,
    open_image,
    orientation_of,
    refuse_too_large,
    to_rgb,
)
from unified_vl.data.truncation import finish_truncated
from unified_vl.errors import BadRow, UserError, nearest
from unified_vl.files import with_slashes
from unified_vl.kinds.hooks.fits import Fit, fitted_size
from unified_vl.kinds.hooks.frames import TURNED
from unified_vl.remote.fetching import Missing, fetched
from unified_vl.remote.urls import is_url, url_below, url_of

MOST_BYTES = 1 << 28  # of an image within a file of others
_LONG_NAME = 255  # characters; more is hardly the name of a file
_BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "data:image/")  # PNG, JPEG, GIF, WebP
_NO_BASE64 = "a path; images in base64 are read by `reader: ofa_tsv` alone"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class ImageLoader:
    """Reads images and keeps those that came from a file.

    Args:
        root: folder that paths are relative to and may not leave; None trusts any
            path, for images that a person names.
        size: (height, width) of what comes out; None leaves images at their own.
        cache_bytes: pixels to keep; the image used longest ago goes first.
        holes: whether to say where images are transparent.
        fit: how images are brought to the size.
    """

    def __init__(
        self,
        root: Path | None,
        size: tuple[int, int] | None,
        cache_bytes: int = 1 << 30,
        *,
        holes: bool = False,
        fit: Fit = "stretch",
    ) -> None:
        self.remote = root is not None and url_of(root) is not None
        self.root = root if root is None or self.remote else root.resolve()
        self.size = size
        self.cache_bytes = cache_bytes
        self.holes = holes
        self.fit: Fit = fit
        self._cache: OrderedDict[str, LoadedImage] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def at(self, size: tuple[int, int]) -> ImageLoader:
        """Reads the same files at another size, stretched, and says where they are transparent."""
        return ImageLoader(self.root, size, holes=True)

    def load(
        self, value: object, where: str, linked: Sequence[Path] = (), *, truncated: bool = False
    ) -> LoadedImage:
        """The image that a row holds.

        Args:
            value: a path, bytes, `{"bytes": ..., "path": ...}` as `datasets` stores
                images, `{"file": ..., "offset": ..., "size": ..., "base64": ...}` for bytes
                within a file (a tar, a TSV), a PIL image, or a uint8 array [H, W] or
                [H, W, 3 or 4].
            where: the row, for messages.
            linked: files and folders outside the root that count as in it.
            truncated: whether an image may be one whose file ends early.

        Raises:
            BadRow: when it is missing, outside the root, of another format, too
                large, or broken.
        """
        image = self._load(value, where, linked)
        if image.truncated and not truncated:
            expected = "a whole file; data.truncated_images: allow reads what there is of it"
            raise BadRow(image.truncated, file=where, expected=expected)
        return image

    def _load(self, value: object, where: str, linked: Sequence[Path]) -> LoadedImage:
        if isinstance(value, Mapping):
            if value.get("file") is not None:
                return self._load_place(value, where, linked)
            value = value.get("bytes") or value.get("path")
        if isinstance(value, np.ndarray):
            value = from_array(value, where)
        if isinstance(value, PILImage.Image):
            return self._prepare(value, where, "the image")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._decode(io.BytesIO(value), where, f"{len(value)} bytes")
        if isinstance(value, (str, Path)):
            return self._load_path(str(value), where, linked)
        found = "nothing" if value is None else type(value).__name__
        raise BadRow(f"found {found} in place of an image", file=where)

    def content(self, value: object, where: str, linked: Sequence[Path] = ()) -> bytes:
        """The bytes of the image file that a row holds, not decoded.

        Args:
            value: as for `load`, but no PIL image.
            where: the row, for messages.
            linked: files and folders outside the root that count as in it.

        Raises:
            BadRow: when it is missing, outside the root, or cannot be read.
        """
        if isinstance(value, Mapping):
            if value.get("file") is not None:
                return self._bytes_at(value, where, linked)
            value = value.get("bytes") or value.get("path")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, (str, Path)):
            try:
                return self.resolve(str(value), where, linked).read_bytes()
            except OSError as error:
                raise BadRow(f"{value!r} cannot be read: {error.strerror}", file=where) from error
        found = "nothing" if value is None else type(value).__name__
        raise BadRow(f"found {found} in place of an image", file=where)

    def _load_place(
        self, value: Mapping[str, Any], where: str, linked: Sequence[Path]
    ) -> LoadedImage:
        key = f"{value['file']}\0{value.get('offset')}"  # no path has a NUL
        found = self._cached(key)
        if found is not None:
            return found
        data = self._bytes_at(value, where, linked)
        said = f"of {value['size']} bytes in {value['file']!r}"
        image = self._decode(io.BytesIO(data), where, said)
        self._keep(key, image)
        return image

    def _bytes_at(self, value: Mapping[str, Any], where: str, linked: Sequence[Path]) -> bytes:
        """What lies at a place within a file."""
        name, start, size = value["file"], value.get("offset"), value.get("size")
        if not isinstance(name, str) or not _is_count(start) or not _is_count(size):
            raise BadRow(
                "found no place of an image",
                file=where,
                expected="file, and offset and size in bytes",
            )
        said = f"of {size} bytes in {name!r}"
        if size > MOST_BYTES:
            raise BadRow(f"the image {said} is too large", file=where, expected="at most 256 MiB")
        try:
            with self.resolve(name, where, linked).open("rb") as file:
                file.seek(start)
                data = file.read(size)
        except (OSError, OverflowError, ValueError) as error:  # an offset beyond all files
            reason = getattr(error, "strerror", None) or error
            raise BadRow(f"{name!r} cannot be read: {reason}", file=where) from error
        if len(data) < size:
            raise BadRow(f"{name!r} ends before the image {said} does", file=where)
        if value.get("base64"):
            try:
                # OFA writes either alphabet
                data = base64.b64decode(data.translate(_URL_SAFE), validate=True)
            except ValueError as error:
                raise BadRow(f"the image {said} is not base64: {error}", file=where) from error
        return data

    def _cached(self, key: str) -> LoadedImage | None:
        with self._lock:
            found = self._cache.get(key)
            if found is not None:
                self._cache.move_to_end(key)
            return found

    def _load_path(self, name: str, where: str, linked: Sequence[Path]) -> LoadedImage:
        key = f"{linked[0]}\0{name}" if linked else name  # without, it may be refused
        found = self._cached(key)
        if found is not None:
            return found
        path = self.resolve(name, where, linked)
        try:
            with path.open("rb") as file:
                image = self._decode(file, where, repr(name))
        except OSError as error:
            raise BadRow(f"{name!r} cannot be read: {error.strerror}", file=where) from error
        self._keep(key, image)
        return image

    def resolve(
        self,
        name: str,
        where: str,
        linked: Sequence[Path] = (),
        *,
        what: str = "image",
        or_folder: bool = False,
    ) -> Path:
        """The file that a path names; with backslashes, too, as Windows writes them.

        Args:
            name: the path, relative to the root.
            where: the row, for messages.
            linked: files and folders outside the root that count as in it.
            what: it is, for messages.
            or_folder: whether it may name a folder.

        Raises:
            BadRow: when there is none, or it is outside the root.
            UserError: for a remote one that cannot be fetched.
        """
        if self.remote or (self.root is not None and is_url(name)):
            copy = self._copy_of(name, where, linked, what)
            if copy is not None:
                return copy
        shown = name if len(name) <= _LONG_NAME else f"{name[:57]}..."
        no_base64 = _NO_BASE64 if name.startswith(_BASE64) else None
        try:
            path = with_slashes(Path(name) if self.root is None else self.root / name).resolve()
            within = self.root is None or path.is_relative_to(self.root)
            if not within and not any(path.is_relative_to(folder) for folder in linked):
                raise BadRow(
                    f"the {what} {shown!r} leaves the data root",
                    file=where,
                    expected=no_base64 or "a path in it",
                )
            if not path.is_file() and not (or_folder and path.is_dir()):
                close = nearest(path.name, (p.name for p in path.parent.glob("*")))
                raise BadRow(
                    f"there is no {what} {shown!r}",
                    file=where,
                    expected=no_base64,
                    nearest=close,
                )
        except (ValueError, OSError, RuntimeError) as error:  # a NUL byte, a link to itself
            shown = repr(name if len(name) <= 60 else f"{name[:57]}...")
            reason = getattr(error, "strerror", None) or error
            raise BadRow(f"{shown} is no path: {reason}", file=where) from error
        return path

    def _copy_of(self, name: str, where: str, linked: Sequence[Path], what: str) -> Path | None:
        """The copy of a remote file; None for one of this machine.

        Raises:
            BadRow: when there is none, or the spec does not lead to it.
            UserError: when it cannot be fetched: that is no fault of the row.
        """
        try:
            url = url_below(name, self.root, linked)
            return None if url is None else fetched(url)
        except Missing as error:
            raise BadRow(f"there is no {what} {name!r}", file=where) from error
        except UserError as error:
            message = f"the {what} {name!r} {error.message}"
            raise UserError(message, file=where, expected=error.expected) from error
        except ValueError as error:
            told = f"there is no {what} {name!r}"
            if not is_url(name):
                told = f"the {what} {name!r} leaves the data root"
            expected = "a path below the data root, or below data.images of the spec"
            raise BadRow(told, file=where, expected=expected) from error

    def _keep(self, key: str, image: LoadedImage) -> None:
        size = image.pixels_HWC.nbytes
        with self._lock:
            if key in self._cache or size > self.cache_bytes:
                return
            self._cache[key] = image
            self._held += size
            while self._held > self.cache_bytes:
                self._held -= self._cache.popitem(last=False)[1].pixels_HWC.nbytes

    def _decode(self, file: BinaryIO, where: str, name: str) -> LoadedImage:
        image = open_image(file, where, name)
        refuse_too_large(image, where, name)
        full = image.size
        if self.size is not None:
            decode_smaller(image, max(fitted_size(self.fit, full, self.size)))
        return self._prepare(image, where, name, full)

    def _prepare(
        self, image: PILImage.Image, where: str, name: str, full: tuple[int, int] | None = None
    ) -> LoadedImage:
        """An image at the network's size; `full` is its file's, where it is decoded smaller."""
        truncated = ""
        try:
            rgb = to_rgb(image, where, name)
        except BadRow as error:
            if not finish_truncated(image, error.__cause__):
                raise
            truncated = error.message
            rgb = to_rgb(image, where, name)
        size = self.size or (rgb.height, rgb.width)
        orientation = orientation_of(image)
        of = full[::-1] if full is not None and orientation >= TURNED else full
        loaded = resize(rgb, size, hole(image) if self.holes else None, self.fit, of)
        if truncated:
            loaded = replace(loaded, truncated=truncated)
        return loaded if orientation == 1 else replace(loaded, orientation=orientation)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
