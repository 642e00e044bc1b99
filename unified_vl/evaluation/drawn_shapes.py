"""The boxes and other places of single rows, as the report draws them on images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from unified_vl.kinds.places import PlaceKind
from unified_vl.kinds.registry import KINDS


@dataclass(frozen=True, slots=True)
class DrawnShape:
    """A place on an image.

    Attributes:
        kind: what it is.
        xy: its numbers in pixels of the image.
        label: what it is called; empty where it has no label.
    """

    kind: PlaceKind
    xy: tuple[float, ...]
    label: str = ""

    @property
    def outline(self) -> tuple[str, dict[str, Any]]:
        """Its SVG element and attributes."""
        return self.kind.outline(self.xy)


def points_somewhere(row: Mapping[str, Any]) -> bool:
    """Whether the task of a row of `predictions.jsonl` writes places in an image."""
    return any(row.get(kind.rows) is not None for kind in _kinds())


def shapes_of(row: Mapping[str, Any]) -> tuple[DrawnShape, ...]:
    """What the model wrote."""
    found = ((kind, *one) for kind in _kinds() for one in kind.said(row))
    return tuple(DrawnShape(kind, tuple(map(float, xy)), label or "") for kind, label, xy in found)


def true_shapes_of(row: Mapping[str, Any]) -> tuple[DrawnShape, ...]:
    """What is right, as far as that is places."""
    places = [tuple(map(float, each)) for each in row["references"] if isinstance(each, list)]
    labels: Sequence[str | None] = row.get("reference_labels") or ()
    return tuple(
        DrawnShape(_kind_of(row, xy), xy, label or "") for xy, label in zip_longest(places, labels)
    )


def _kinds() -> Iterator[PlaceKind]:
    return (kind for kind in KINDS.values() if isinstance(kind, PlaceKind))


def _kind_of(row: Mapping[str, Any], xy: Sequence[float]) -> PlaceKind:
    """The kind of a reference: that of the answers, or else one that has so many numbers, as
    points are compared with boxes."""
    written = [kind for kind in _kinds() if row.get(kind.rows) is not None]
    return next(kind for kind in (*written, *_kinds()) if kind.is_whole(len(xy)))
