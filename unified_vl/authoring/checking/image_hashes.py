"""Which images are the same, or the same picture saved in another way.

A picture is known by its difference hash (D. Krawetz, "Kind of Like That", 2013): on 9 x 8
grey cells, a bit for each two neighbours in a row that says whether it gets brighter. Of
pictures whose hashes are near, thumbnails of 8 x 8 cells in colour decide. What was scaled
or saved again is found; what was cropped, mirrored or coloured anew is not.

Legend: N images, M images that are asked for, T cells of a thumbnail (8 x 8 x RGB).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage

from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.data.truncation import finish_truncated
from unified_vl.errors import BadRow

BITS = 3  # that two hashes may differ in: then one band of four at least is the same
BANDS = 4
CELL_LEVELS = 24  # of 255 that any cell of two thumbnails may differ by
STEP_LEVELS = 2  # brighter by less is flat: the noise of JPEG shall not flip bits
_PAIRS = 1 << 20  # pairs of hashes compared at a time
_THUMBNAILS = 1 << 14  # and pairs of thumbnails


@dataclass(frozen=True, slots=True)
class ImageHash:
    """What an image is known by.

    Attributes:
        content: digest of the file's bytes.
        steps: the difference hash, 64 bits.
        thumbnail: 8 x 8 x RGB, a byte each.
    """

    content: bytes
    steps: int
    thumbnail: bytes


def hash_image(content: bytes, where: str) -> ImageHash:
    """What an image file is known by; of one that ends early, what there is of it.

    Raises:
        BadRow: when it is no image, too large, or broken.
    """
    image = open_image(io.BytesIO(content), where, f"{len(content)} bytes")
    image.draft("RGB", (72, 64))  # a JPEG is decoded at the scale that is needed
    try:
        rgb = to_rgb(image, where, f"{len(content)} bytes")
    except BadRow as error:
        if not finish_truncated(image, error.__cause__):
            raise
        rgb = to_rgb(image, where, f"{len(content)} bytes")
    grey = rgb.convert("L").resize((9, 8), PILImage.Resampling.BOX)
    cells = np.asarray(grey, np.int16)
    bits = (np.diff(cells, axis=1) > STEP_LEVELS).ravel()
    thumbnail = rgb.resize((8, 8), PILImage.Resampling.BOX).tobytes()
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return ImageHash(digest, int.from_bytes(np.packbits(bits).tobytes()), thumbnail)


class ImageIndex:
    """Images among which the near ones of others are looked for.

    Two hashes that differ in three bits at most are the same in one of four bands of 16
    bits at least: only images that share a band are compared.
    """

    def __init__(self, hashes: Sequence[ImageHash]) -> None:
        self._steps_N = np.array([h.steps for h in hashes], np.uint64)
        self._thumbnails_NT = _thumbnails(hashes)

    def nearest(self, hashes: Sequence[ImageHash]) -> list[int | None]:
        """For each image the place of one in the index that shows the same, or None."""
        steps_M, thumbnails_MT = np.array([h.steps for h in hashes], np.uint64), _thumbnails(hashes)
        found_M = np.full(len(hashes), -1, np.int64)
        for band in range(BANDS):
            for asked, known in self._sharing(band, steps_M, found_M < 0):
                apart = steps_M[asked] ^ self._steps_N[known]
                near = np.bitwise_count(apart) <= BITS
                for earlier in range(band):  # where they were compared already
                    near &= _band(apart, earlier) != 0
                near = np.flatnonzero(near)
                for start in range(0, len(near), _THUMBNAILS):
                    pairs = near[start : start + _THUMBNAILS]
                    a, b = asked[pairs], known[pairs]
                    levels = thumbnails_MT[a].astype(np.int16) - self._thumbnails_NT[b]
                    same = np.abs(levels).max(axis=1) <= CELL_LEVELS
                    found_M[a[same]] = b[same]
        return [None if place < 0 else int(place) for place in found_M]

    def _sharing(
        self, band: int, steps_M: np.ndarray, open_M: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places of images that share a band: those asked for, and those of the index."""
        bands_N = _band(self._steps_N, band)
        order_N = np.argsort(bands_N, kind="stable")
        asked = np.flatnonzero(open_M)
        bands = _band(steps_M[asked], band)
        first = np.searchsorted(bands_N[order_N], bands, "left")
        counts = np.searchsorted(bands_N[order_N], bands, "right") - first
        start = 0
        while start < len(asked):
            total = np.cumsum(counts[start:])
            stop = start + max(1, int(np.searchsorted(total, _PAIRS, "right")))
            n = counts[start:stop]
            within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
            yield np.repeat(asked[start:stop], n), order_N[np.repeat(first[start:stop], n) + within]
            start = stop


def _band(steps: np.ndarray, band: int) -> np.ndarray:
    """16 bits of each hash."""
    width = 64 // BANDS
    return (steps >> np.uint64(width * band)) & np.uint64((1 << width) - 1)


def _thumbnails(hashes: Sequence[ImageHash]) -> np.ndarray:
    cells = np.frombuffer(b"".join(h.thumbnail for h in hashes), np.uint8)
    return cells.reshape(len(hashes), 8 * 8 * 3)
