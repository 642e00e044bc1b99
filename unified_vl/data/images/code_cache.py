"""Codes of images, computed once and kept on disk.

    CACHE/FINGERPRINT/ab/ab12....npy    the codes of one image, by a digest of its pixels

A file is written whole and then given its name, so any number of processes may read and
write one cache; a file that is broken is computed anew.

Legend: H height, W width, h and w those of the grid of codes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
from pathlib import Path

import numpy as np

from unified_vl.codecs.image_codes import ImageCodec


def cache_directory() -> Path:
    """Where caches of this user are: $XDG_CACHE_HOME/unified_vl, or ~/.cache/unified_vl."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "unified_vl"


class ImageCodeCache:
    """The codes of images under one tokenizer.

    Args:
        codec: the tokenizer; its fingerprint keeps its codes apart from another's.
        directory: of all caches; None keeps nothing.
    """

    def __init__(self, codec: ImageCodec, directory: Path | None) -> None:
        self.codec = codec
        self.directory = None if directory is None else directory / codec.fingerprint
        self.computed = 0
        self._lock = threading.Lock()  # one after the other: torch has threads of its own

    def codes(self, pixels_HW3: np.ndarray) -> np.ndarray:
        """The codes (h, w) of a uint8 RGB image, from the cache where it has them."""
        path = self._path(pixels_HW3)
        if path is not None:
            found = self._read(path, pixels_HW3.shape)
            if found is not None:
                return found
        with self._lock:
            codes_hw = self.codec.encode(pixels_HW3[None])[0].astype(np.int32)
            self.computed += 1
        if path is not None:
            self._write(path, codes_hw)
        return codes_hw

    def _path(self, pixels_HW3: np.ndarray) -> Path | None:
        if self.directory is None:
            return None
        digest = hashlib.sha256(repr(pixels_HW3.shape).encode())
        digest.update(np.ascontiguousarray(pixels_HW3).tobytes())
        name = digest.hexdigest()
        return self.directory / name[:2] / f"{name}.npy"

    def _read(self, path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        """What the file holds; None when there is none, or it is not the codes of such an image."""
        try:
            codes_hw: np.ndarray = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        side = self.codec.downsampling
        fits = codes_hw.shape == (shape[0] // side, shape[1] // side)
        whole = fits and codes_hw.dtype == np.int32 and codes_hw.size
        if not whole or codes_hw.min() < 0 or codes_hw.max() >= self.codec.codes:
            return None
        return codes_hw

    def _write(self, path: Path, codes_hw: np.ndarray) -> None:
        """Without a word where it cannot be written: it is a cache."""
        buffer = io.BytesIO()
        np.save(buffer, codes_hw)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(buffer.getvalue())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
