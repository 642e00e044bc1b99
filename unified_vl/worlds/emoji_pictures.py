"""Pictures to write: an emoji drawn, the mask of one in a scene, a scene on another ground.

Legend: H height, W width of the art, P its solid pixels, N squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from unified_vl.worlds.emoji_art import tight_art
from unified_vl.worlds.emoji_scenes import Scene, Split, draw_scene_of, paint
from unified_vl.worlds.emoji_squares import Square

# How many training, validation or test scenes there are for one pair of pictures.
_SCENES_PER_RECOLOURING: dict[Split, int] = {"train": 2, "validation": 2, "test": 3}
_DRAWN_SIDE = 44 / 64  # longer side of a drawn emoji, as a part of the image
_SOLID = 128  # alpha from which a pixel belongs to the emoji
# An emoji is seen on a ground when this part of its solid pixels differs from it by more
# than this much in one of red, green and blue.
_SEEN_PART, _SEEN_DIFFERENCE = 0.1, 24

Advance = Callable[[int, int], None]
"""Called as (done so far, in total)."""


def drawing_path(concept: int) -> str:
    """Where the drawing of a concept lies, relative to the data root."""
    return f"pictures/draw/{concept:04d}.png"


def mask_path(split: Split, number: int, place: int) -> str:
    """Where the mask of the `place`-th emoji (from 0) of scene `number` lies."""
    return f"masks/{split}/{number:06d}-{place}.png"


def recolouring_path(split: Split, number: int, moment: Literal["before", "after"]) -> str:
    """Where one of the two pictures of a recolouring lies."""
    return f"pictures/recolour/{split}/{number:06d}-{moment}.png"


@dataclass(frozen=True, slots=True)
class Recolouring:
    """A scene of one emoji, and the number of the square whose colour its ground gets."""

    scene: Scene
    square: int


def paint_drawing(art: Path, image_size: int) -> Image.Image:
    """The emoji in the middle of a white picture, RGB."""
    image = Image.new("RGB", (image_size, image_size), "white")
    drawn = tight_art(art, round(_DRAWN_SIDE * image_size))
    corner = ((image_size - drawn.width) // 2, (image_size - drawn.height) // 2)
    image.paste(drawn, corner, drawn)
    return image


def paint_mask(scene: Scene, place: int, arts: Sequence[Path], image_size: int) -> Image.Image:
    """White where the art of the `place`-th emoji of the scene is solid, else black."""
    image = Image.new("L", (image_size, image_size), 0)
    alpha = tight_art(arts[scene.concepts[place]], scene.sides[place]).getchannel("A")
    solid = alpha.point(lambda value: 255 * (value >= _SOLID))
    image.paste(solid, scene.boxes[place][:2])
    return image


def draw_recolourings(
    scenes: int,
    arts: Sequence[Path],
    squares: Sequence[Square],
    split: Split,
    image_size: int,
    random: np.random.Generator,
) -> list[Recolouring]:
    """Draw scenes of one emoji, each with a square on whose colour that emoji can be seen.

    Their number is in proportion to the `scenes` of the split, and at least one.
    """
    drawn = []
    for _ in range(max(1, scenes // _SCENES_PER_RECOLOURING[split])):
        scene = draw_scene_of(1, arts, split, image_size, random)
        art = tight_art(arts[scene.concepts[0]], scene.sides[0])
        showing = _squares_that_show(art, squares)
        drawn.append(Recolouring(scene, showing[int(random.integers(len(showing)))]))
    return drawn


def _squares_that_show(art: Image.Image, squares: Sequence[Square]) -> list[int]:
    """The numbers of the squares from whose colour enough of the art (RGBA) differs."""
    art_HW4 = np.asarray(art, dtype=np.int16)
    solid_P3 = art_HW4[art_HW4[..., 3] >= _SOLID][:, :3]
    colours_N13 = np.array([[square.colour] for square in squares], dtype=np.int16)
    differs_NP = (np.abs(solid_P3 - colours_N13) > _SEEN_DIFFERENCE).any(axis=-1)
    return np.flatnonzero(differs_NP.mean(axis=-1) >= _SEEN_PART).tolist()


def write_drawings(directory: Path, arts: Sequence[Path], image_size: int) -> None:
    """Write the drawing of every concept."""
    (directory / drawing_path(0)).parent.mkdir(parents=True)
    for concept, art in enumerate(arts):
        paint_drawing(art, image_size).save(directory / drawing_path(concept))


def write_masks(
    directory: Path,
    split: Split,
    scenes: Sequence[Scene],
    arts: Sequence[Path],
    image_size: int,
    advance: Advance,
) -> None:
    """Write a mask for every emoji of the scenes."""
    (directory / mask_path(split, 0, 0)).parent.mkdir(parents=True)
    for number, scene in enumerate(scenes):
        for place in range(len(scene.concepts)):
            mask = paint_mask(scene, place, arts, image_size)
            mask.save(directory / mask_path(split, number, place))
        advance(number + 1, len(scenes))


def write_recolourings(
    directory: Path,
    split: Split,
    recolourings: Sequence[Recolouring],
    arts: Sequence[Path],
    squares: Sequence[Square],
    image_size: int,
    advance: Advance,
) -> None:
    """Write the pictures before and after every recolouring."""
    (directory / recolouring_path(split, 0, "before")).parent.mkdir(parents=True)
    for number, one in enumerate(recolourings):
        before = paint(one.scene, arts, image_size)
        before.save(directory / recolouring_path(split, number, "before"))
        recoloured = replace(one.scene, ground=squares[one.square].colour)
        after = paint(recoloured, arts, image_size)
        after.save(directory / recolouring_path(split, number, "after"))
        advance(number + 1, len(recolourings))
