"""Answers on pictures, at a size that shows them well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image as PILImage

from unified_vl.inference.drawing import draw_shapes
from unified_vl.inference.prediction import Prediction
from unified_vl.kinds.places import PlaceKind
from unified_vl.kinds.registry import KINDS

SMALLEST_SIDE, LARGEST_SIDE = 480, 1600  # pixels of a drawn picture


def drawn(picture: PILImage.Image, found: Prediction) -> PILImage.Image:
    """The shapes of an answer on a copy of a picture, enlarged or reduced to show them well."""
    return drawn_at(enlarged(picture), picture.width, found)


def drawn_at(larger: PILImage.Image, width: int, found: Prediction) -> PILImage.Image:
    """The shapes of an answer on a picture that was made larger or smaller.

    Args:
        larger: the picture.
        width: that it had, in whose pixels the shapes are.
        found: the answer.
    """
    return draw_shapes(larger, _scaled(found, larger.width / width))


def enlarged(picture: PILImage.Image) -> PILImage.Image:
    """A picture at a size that shows it well."""
    side = max(picture.size)
    scale = max(1, math.ceil(SMALLEST_SIDE / side)) if side < LARGEST_SIDE else LARGEST_SIDE / side
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # a small picture keeps its pixels: the person sees what the model saw
    how = PILImage.Resampling.NEAREST if scale > 1 else PILImage.Resampling.LANCZOS
    return picture.resize(size, how)


def _scaled(found: Prediction, scale: float) -> Prediction:
    def larger(places: Sequence[Any]) -> list[Any]:
        return [[v * scale for v in xy] for xy in places]

    places = [kind.rows for kind in KINDS.values() if isinstance(kind, PlaceKind)]
    shapes = {key: larger(v) if key in places else v for key, v in found.shapes.items()}
    return replace(found, shapes=shapes)
