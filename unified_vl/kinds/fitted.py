"""Places in an image, and in the rectangle that the network reads.

Everything that people give and get is measured in the image. The network sees the rectangle, which
a stretched image fills and a padded one does not; so it reads and writes places in that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.fits import WHOLE, Content
from unified_vl.kinds.registry import kind_of_place

LEAST_SIDE = 1e-3  # of a box that lay in the padding: a bin of location tokens


def onto_network(shape: Shape, content: Content) -> Shape:
    """A place in an image as one in the rectangle."""
    if content == WHOLE or not kind_of_place(shape).in_image:
        return shape
    starts, sides = (content.left, content.top), (content.width, content.height)
    return _moved(
        shape, [starts[i % 2] + v * sides[i % 2] for i, v in enumerate(shape.coordinates)]
    )


def onto_image(shape: Shape, content: Content) -> Shape:
    """A place in the rectangle as one in the image; what lies in the padding goes to the edge."""
    if content == WHOLE or not kind_of_place(shape).in_image:
        return shape
    starts, sides = (content.left, content.top), (content.width, content.height)
    found = [(v - starts[i % 2]) / sides[i % 2] for i, v in enumerate(shape.coordinates)]
    return _moved(shape, [min(max(v, 0.0), 1.0) for v in found])


def _moved(shape: Shape, xy: Sequence[float]) -> Shape:
    kind: Any = kind_of_place(shape)
    numbers = list(xy)
    if kind.rising:  # an edge of the image has made both corners one
        half = len(numbers) // 2
        for low in range(half):
            if numbers[low + half] <= numbers[low]:
                numbers[low] = min(numbers[low], 1.0 - LEAST_SIDE)
                numbers[low + half] = numbers[low] + LEAST_SIDE
    moved: Shape = kind.relabelled(kind.made(numbers), shape)
    return moved
