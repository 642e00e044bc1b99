"""What the pictures show: drawings, masks and recolourings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unified_vl.worlds.emoji_art import tight_art
from unified_vl.worlds.emoji_names import all_emoji, art_directory
from unified_vl.worlds.emoji_pictures import (
    draw_recolourings,
    paint_drawing,
    paint_mask,
    write_recolourings,
)
from unified_vl.worlds.emoji_scenes import Split, draw_scene, paint
from unified_vl.worlds.emoji_squares import SQUARES, Square, choose_squares


@pytest.fixture(scope="module")
def arts() -> list[Path]:
    return [one.art for one in all_emoji()[::20]]


@pytest.fixture(scope="module")
def squares() -> list[Square]:
    return choose_squares(np.random.default_rng(0))


@pytest.mark.parametrize("image_size", [32, 64, 96])
def test_a_drawing_is_in_the_middle_of_white_at_44_of_64(arts: list[Path], image_size: int) -> None:
    for art in arts:
        picture = paint_drawing(art, image_size)
        assert (picture.mode, picture.size) == ("RGB", (image_size, image_size))
        drawn_HW = (np.asarray(picture) != 255).any(axis=-1)
        (y1, x1), (y2, x2) = np.argwhere(drawn_HW).min(axis=0), np.argwhere(drawn_HW).max(axis=0)
        side = 44 * image_size / 64
        # Art that fades out, or is white at its edge, seems a little smaller than it is.
        assert 0.8 * side <= max(x2 - x1, y2 - y1) + 1 <= side + 1
        assert abs(x1 + x2 + 1 - image_size) <= 0.1 * image_size
        assert abs(y1 + y2 + 1 - image_size) <= 0.1 * image_size


@pytest.mark.parametrize("image_size", [32, 64])
def test_a_mask_is_where_the_ground_shows_through_by_less_than_half(
    arts: list[Path], image_size: int
) -> None:
    random = np.random.default_rng(3)
    for _ in range(40):
        scene = draw_scene(arts, "train", image_size, random)
        on_black, on_white = (
            np.asarray(paint(replace(scene, ground=(level,) * 3), arts, image_size), dtype=int)
            for level in (0, 255)
        )
        alpha_HW = 255 - (on_white - on_black).max(axis=-1)
        union_HW = np.zeros_like(alpha_HW, dtype=bool)
        for place, (x1, y1, x2, y2) in enumerate(scene.boxes):
            mask_HW = np.asarray(paint_mask(scene, place, arts, image_size))
            assert set(np.unique(mask_HW)) == {0, 255}
            white_HW = mask_HW == 255
            outside_HW = white_HW.copy()
            outside_HW[y1:y2, x1:x2] = False
            assert not outside_HW.any() and not (white_HW & union_HW).any()
            union_HW |= white_HW
        assert union_HW[alpha_HW > 129].all()  # a level is lost in rounding
        assert not union_HW[alpha_HW < 126].any()


def test_squares_have_the_colour_at_the_centre_of_their_own_art(squares: list[Square]) -> None:
    assert [one.emoji for one in squares] == list(SQUARES) and len(squares) == 9
    for one in squares:
        with Image.open(art_directory() / f"{ord(one.emoji):x}.png") as art:
            assert one.colour == art.convert("RGBA").getpixel((36, 36))[:3]
    red, *_, black, white = (one.colour for one in squares)
    assert red[0] > 200 > 100 > max(red[1:])
    assert max(black) < 70 and min(white) > 220


def test_a_recolouring_changes_the_ground_and_nothing_else(
    arts: list[Path], squares: list[Square], tmp_path: Path
) -> None:
    drawn = draw_recolourings(60, arts, squares, "train", 64, np.random.default_rng(4))
    steps: list[tuple[int, int]] = []
    write_recolourings(
        tmp_path, "train", drawn, arts, squares, 64, lambda done, total: steps.append((done, total))
    )
    assert steps[-1] == (30, 30)
    for number, one in enumerate(drawn):
        before, after = (
            np.asarray(Image.open(tmp_path / f"pictures/recolour/train/{number:06d}-{moment}.png"))
            for moment in ("before", "after")
        )
        assert (before == np.asarray(paint(one.scene, arts, 64))).all()
        colour = squares[one.square].colour
        (x1, y1, x2, y2) = one.scene.boxes[0]
        is_outside_HW = np.ones((64, 64), dtype=bool)
        is_outside_HW[y1:y2, x1:x2] = False
        assert (before[is_outside_HW] == one.scene.ground).all()
        assert (after[is_outside_HW] == colour).all()
        solid_HW = np.asarray(paint_mask(one.scene, 0, arts, 64)) == 255
        art = tight_art(arts[one.scene.concepts[0]], one.scene.sides[0])
        opaque_HW = np.asarray(art.getchannel("A")) == 255
        assert (before[y1:y2, x1:x2] == after[y1:y2, x1:x2])[opaque_HW].all()
        # Soft edges let some of the ground through, by half at most.
        moved = np.abs(before.astype(int) - after)[solid_HW].max(axis=0)
        assert (moved <= 0.5 * np.abs(np.subtract(one.scene.ground, colour)) + 1).all()


@pytest.mark.parametrize(
    ("split", "scenes", "count"),
    [
        ("train", 20_000, 10_000), ("validation", 200, 100), ("test", 300, 100),
        ("train", 3, 1), ("validation", 1, 1), ("test", 2, 1),
    ],
)  # fmt: skip
def test_recolourings_are_in_proportion_to_scenes_and_at_least_one(
    arts: list[Path], squares: list[Square], split: Split, scenes: int, count: int
) -> None:
    drawn = draw_recolourings(scenes, arts[:2], squares, split, 64, np.random.default_rng(5))
    assert len(drawn) == count
    assert all(len(one.scene.concepts) == 1 for one in drawn)
    if count > 90:
        assert {one.square for one in drawn} == set(range(9))


@pytest.mark.parametrize(("emoji", "hidden"), [("🔑", "🟫"), ("➕", "⬛"), ("🟥", "🟥")])
def test_an_emoji_is_not_put_on_the_colour_that_hides_it(
    squares: list[Square], emoji: str, hidden: str
) -> None:
    art = next(one.art for one in all_emoji() if one.emoji == emoji)
    drawn = draw_recolourings(2000, [art], squares, "train", 64, np.random.default_rng(6))
    assert {squares[one.square].emoji for one in drawn} == set(SQUARES) - {hidden}
