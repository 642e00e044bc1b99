"""The boxes, points and polygons of single rows, as the report draws them on images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

_KINDS: dict[int, Literal["point", "box"]] = {2: "point", 4: "box"}  # by how many numbers


@dataclass(frozen=True, slots=True)
class Mark:
    """A shape on an image.

    Attributes:
        kind: what it is.
        xy: its numbers in pixels of the image: `x1 y1 x2 y2` of a box, else `x y x y ...`.
        label: what it is called; empty where it has no label.
    """

    kind: Literal["box", "point", "polygon"]
    xy: tuple[float, ...]
    label: str = ""

    @property
    def points(self) -> str:
        """Its corners as SVG's `points`."""
        return " ".join(map(str, self.xy))


def points_somewhere(row: Mapping[str, Any]) -> bool:
    """Whether the task of a row of `predictions.jsonl` writes shapes."""
    return any(row.get(name) is not None for name in ("boxes", "points", "polygons"))


def marks_of(row: Mapping[str, Any]) -> tuple[Mark, ...]:
    """What the model wrote."""
    boxes = _marks(row.get("boxes") or (), row.get("labels") or ())
    others = [*(row.get("points") or ()), *(row.get("polygons") or ())]
    return *boxes, *_marks(others, ())


def true_marks_of(row: Mapping[str, Any]) -> tuple[Mark, ...]:
    """What is right, as far as that is shapes."""
    shapes = [each for each in row["references"] if isinstance(each, list)]
    return tuple(_marks(shapes, row.get("reference_labels") or ()))


def _marks(shapes: Iterable[Sequence[float]], labels: Sequence[str | None]) -> Iterable[Mark]:
    for shape, label in zip_longest(shapes, labels):
        if shape is not None:
            xy = tuple(float(number) for number in shape)
            yield Mark(_KINDS.get(len(xy), "polygon"), xy, label or "")
