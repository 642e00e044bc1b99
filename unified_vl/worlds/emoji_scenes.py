"""Scenes: one to three emoji at random places on a plain ground.

Which emoji may share a scene is decided by their numbers: a combination whose numbers
add up to a multiple of 7 is for testing, every other one for training and validation.
So no combination of a test scene is ever trained on, at any number of emoji or scenes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from unified_vl.worlds.emoji_art import tight_art

Split = Literal["train", "validation", "test"]

COMBINATION_CLASSES = 7
# With four emoji in each class, any test scene leaves one to put in a false caption.
FEWEST_CONCEPTS = 4 * COMBINATION_CLASSES

_COUNT_PROBABILITIES = (0.4, 0.35, 0.25)
# Longer side of the art and least distance of two centres in x, as parts of the image.
_SIZES = {1: (26 / 64, 52 / 64), 2: (20 / 64, 30 / 64), 3: (17 / 64, 21 / 64)}
_APART = 6 / 64
_TRIES = 64


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture holds.

    Attributes:
        concepts: numbers of its emoji, left to right.
        boxes: their tight boxes (x1, y1, x2, y2) in pixels.
        sides: the sizes at which their art was asked for.
        ground: the colour behind them.
    """

    concepts: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    sides: tuple[int, ...]
    ground: tuple[int, int, int]


def is_test_combination(concepts: Sequence[int]) -> bool:
    """Whether scenes of exactly these emoji (two or more) are for testing only."""
    return sum(concepts) % COMBINATION_CLASSES == 0


def in_split(concepts: Sequence[int], split: Split) -> bool:
    """Whether a scene of these emoji may stand in `split`; single emoji may in all."""
    return len(concepts) == 1 or (is_test_combination(concepts) == (split == "test"))


def draw_combination(
    count: int, concepts: int, split: Split, random: np.random.Generator
) -> list[int]:
    """`count` different concepts, by their numbers, that may stand in a scene of `split`."""
    drawn: list[int] = random.choice(concepts, count, replace=False).tolist()
    while not in_split(drawn, split):
        drawn = random.choice(concepts, count, replace=False).tolist()
    return drawn


def draw_scene(
    arts: Sequence[Path], split: Split, image_size: int, random: np.random.Generator
) -> Scene:
    """Draw the contents of one scene of `split` from emoji with these art files."""
    count = 1 + int(random.choice(len(_COUNT_PROBABILITIES), p=_COUNT_PROBABILITIES))
    return draw_scene_of(count, arts, split, image_size, random)


def draw_scene_of(
    count: int, arts: Sequence[Path], split: Split, image_size: int, random: np.random.Generator
) -> Scene:
    """Draw the contents of one scene of `split` with `count` (1 to 3) emoji."""
    drawn = draw_combination(count, len(arts), split, random)
    smallest, largest = (round(part * image_size) for part in _SIZES[count])
    sides = random.integers(smallest, largest, count, endpoint=True).tolist()
    sizes = [tight_art(arts[at], side).size for at, side in zip(drawn, sides, strict=True)]
    corners = _place(np.array(sizes), image_size, random)
    boxes = [
        (x, y, x + width, y + height)
        for (x, y), (width, height) in zip(corners, sizes, strict=True)
    ]
    order = sorted(range(count), key=lambda at: boxes[at][0] + boxes[at][2])
    return Scene(
        concepts=tuple(drawn[at] for at in order),
        boxes=tuple(boxes[at] for at in order),
        sides=tuple(sides[at] for at in order),
        ground=_ground(random),
    )


def _place(
    sizes_K2: np.ndarray, image_size: int, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Top left corners for K rectangles that do not overlap and have an order in x."""
    apart = _APART * image_size
    count = len(sizes_K2)
    first, second = np.triu_indices(count, k=1)
    while True:
        corners_TK2 = random.integers(0, image_size - sizes_K2 + 1, (_TRIES, count, 2))
        ends_TK2 = corners_TK2 + sizes_K2
        separate_TP = (
            (ends_TK2[:, first] <= corners_TK2[:, second])
            | (ends_TK2[:, second] <= corners_TK2[:, first])
        ).any(axis=-1)
        centres_TK = (corners_TK2 + ends_TK2)[..., 0] / 2
        ordered_TP = np.abs(centres_TK[:, first] - centres_TK[:, second]) >= apart
        good_T = (separate_TP & ordered_TP).all(axis=-1)
        if good_T.any():
            return [(int(x), int(y)) for x, y in corners_TK2[int(good_T.argmax())]]


def _ground(random: np.random.Generator) -> tuple[int, int, int]:
    """A pale or muted colour, never so dark that black art would vanish on it."""
    hue, saturation, value = random.random(3).tolist()
    colour = colorsys.hsv_to_rgb(hue, 0.45 * saturation, 0.35 + 0.65 * value)
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def paint(scene: Scene, arts: Sequence[Path], image_size: int) -> Image.Image:
    """The picture of a scene, RGB."""
    image = Image.new("RGB", (image_size, image_size), scene.ground)
    for concept, box, side in zip(scene.concepts, scene.boxes, scene.sides, strict=True):
        art = tight_art(arts[concept], side)
        image.paste(art, box[:2], art)
    return image
