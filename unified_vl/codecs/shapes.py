"""Places in an image, of all kinds, and location tokens.

A coordinate v in [0, 1] becomes the token `floor(v * bins)`, clipped to the last
bin, and comes back as the bin's centre: the error is at most half a bin and a
decoded shape never leaves the image (Pix2Seq, arXiv 2109.10852, section 2.1, with
centres in place of edges). The order is x y x y ..., of a box that of its corners.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.geometry import Shape
from unified_vl.kinds.registry import place_kind


class ShapeCodec:
    """Places in an image to location ids and back; a label is not written."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.id_range = vocabulary.locations

    def encode(self, shape: Shape) -> list[int]:
        """Ids in the order x y x y ..."""
        bins = len(self.id_range)
        return [self.id_range[min(math.floor(v * bins), bins - 1)] for v in shape.coordinates]

    def decode(self, ids: Sequence[int], kind: str) -> Shape:
        """The shape at the centres of the ids' bins; corners in the wrong order are swapped.

        Raises:
            ValueError: when `ids` are not location ids, or not as many as the shape has.
        """
        places = place_kind(kind)
        if not places.is_whole(len(ids)) or any(i not in self.id_range for i in ids):
            raise ValueError(f"a {kind} is not the location ids {list(ids)}")
        bins = len(self.id_range)
        return places.made(tuple((i - self.id_range.start + 0.5) / bins for i in ids))

    def decode_run(self, ids: Sequence[int], kind: str) -> list[Shape]:
        """The shapes of ids that follow each other; what is left of them is dropped."""
        places = place_kind(kind)
        size = places.count
        if places.is_open:
            whole = len(ids) // 2 * 2
            return [self.decode(ids[:whole], kind)] if whole >= size else []
        starts = range(0, len(ids) // size * size, size)
        return [self.decode(ids[i : i + size], kind) for i in starts]
