"""A world of coloured regions: features that say a colour, boxes that say where, and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unified_vl.data.regions.writing import ImageRegions

COLOURS = ("red", "green", "blue", "white")
FEATURES = 8
SIZE = (64, 48)
LOOK = """
task: look
version: 1
about: Say which colour is on the left.
data:
  {reader: jsonl, path: "look_{split}.jsonl", splits: {train: train, validation: train},
   languages: [en], on_bad_row: skip}
fields:
  regions: {kind: regions, column: image, features: [FILE], most: 3}
  colour: {kind: text, column: colour}
example: {source: "{task} {regions}", target: "{colour}"}
generate: {method: greedy, max_tokens: 8}
score: [{metric: exact_match, against: colour, primary: true}]
"""


def image(number: int, *, classes: bool = True, labels: bool = False) -> ImageRegions:
    """Two or three regions, side by side; image n is the same each time."""
    random = np.random.default_rng(number)
    rows = 2 + number % 2
    colour_R = random.permutation(len(COLOURS))[:rows]
    features_RF = np.zeros((rows, FEATURES), np.float32)
    features_RF[np.arange(rows), colour_R] = 1
    features_RF[:, len(COLOURS) :] = random.random((rows, FEATURES - len(COLOURS)))
    left_R = np.arange(rows) * 20.0
    boxes_R4 = np.stack([left_R, left_R * 0 + 4, left_R + 16, left_R * 0 + 40], 1).astype(
        np.float32
    )
    order_R = random.permutation(rows)
    return ImageRegions(
        f"picture_{number}",
        SIZE,
        boxes_R4[order_R],
        features_RF[order_R],
        colour_R[order_R].astype(np.int64) if classes else None,
        np.linspace(0.9, 0.5, rows, dtype=np.float32) if classes else None,
        (colour_R[order_R] + 1).astype(np.int64) % len(COLOURS) if classes else None,
        _labels(rows, random) if labels else None,
    )


def _labels(rows: int, random: np.random.Generator) -> np.ndarray:
    """Probabilities of all classes as a detector would say them, in float16 as UNITER's."""
    return random.dirichlet(np.ones(len(COLOURS)), rows).astype(np.float16).astype(np.float32)


def images(count: int, **more: bool) -> Iterator[ImageRegions]:
    return (image(number, **more) for number in range(count))


def leftmost(regions: ImageRegions) -> int:
    return int(regions.boxes_R4[:, 0].argmin())


def colour_of(regions: ImageRegions, place: int) -> str:
    return COLOURS[int(regions.features_RF[place, : len(COLOURS)].argmax())]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
