"""What augmentations do to a picture, and that places move along with what they are of."""

from __future__ import annotations

import pickle
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageDraw

from unified_vl.augmentation.augmentation import Change
from unified_vl.geometry import Box, Point, Polygon
from unified_vl.kinds.registry import kind_of_place
from unified_vl.specs.runs.augment import AUGMENTATIONS, AugmentSpec

WIDTH, HEIGHT = 96, 64
GROUND, PAINT = (90, 120, 140), (255, 0, 0)
EVERY = sorted(AUGMENTATIONS)
MOVING = ("affine", "horizontal_flip", "resized_crop")
SEEDS = st.integers(0, 2**32)


def drawn(name: str, seed: int, **keys: Any) -> Change:
    spec = AugmentSpec(name=name, **keys)
    return spec.augmentation.draw(spec, Random(seed), (WIDTH, HEIGHT))


def a_picture(seed: int = 0) -> PILImage.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3))
    return PILImage.fromarray(noise.astype(np.uint8))


def painted(image: PILImage.Image) -> np.ndarray:
    """Where (H, W) the paint is more than half of a pixel."""
    pixels_HW3 = np.asarray(image).astype(int)
    return pixels_HW3[..., 0] - pixels_HW3[..., 1] > (PAINT[0] - GROUND[0] + GROUND[1]) // 2


@given(name=st.sampled_from(MOVING), seed=SEEDS, data=st.data())
def test_a_box_marks_the_same_thing_in_the_changed_picture(
    name: str, seed: int, data: st.DataObject
) -> None:
    x1, y1 = data.draw(st.integers(0, WIDTH - 12)), data.draw(st.integers(0, HEIGHT - 12))
    x2, y2 = data.draw(st.integers(x1 + 12, WIDTH)), data.draw(st.integers(y1 + 12, HEIGHT))
    image = PILImage.new("RGB", (WIDTH, HEIGHT), GROUND)
    image.paste(PAINT, (x1, y1, x2, y2))
    box = Box(x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT, "thing")
    change = drawn(name, seed)
    assert change.motion is not None
    moved = kind_of_place(box).moved_along(box, change.motion)
    rows, columns = np.nonzero(painted(change.pixels(image)))
    if moved is None or moved.kept < 0.2:  # a rim of less than a pixel is hardly seen
        return
    assert moved.value.label == "thing"
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    found = [v * side for v, side in zip(moved.value.coordinates, (WIDTH, HEIGHT) * 2, strict=True)]
    assert seen == pytest.approx(found, abs=1.5)


@given(name=st.sampled_from((*MOVING, "rotation")), seed=SEEDS, corners=st.integers(3, 9))
def test_a_polygon_covers_the_same_thing_in_the_changed_picture(
    name: str, seed: int, corners: int
) -> None:
    random = Random(seed)
    angles = sorted(random.uniform(0, 2 * np.pi) for _ in range(corners))
    points = [(48 + 30 * np.cos(a), 32 + 26 * np.sin(a)) for a in angles]
    polygon = Polygon(tuple(v / s for p in points for v, s in zip(p, (WIDTH, HEIGHT), strict=True)))
    image = outlined(polygon, GROUND, PAINT)
    change = drawn(name, seed)
    assert change.motion is not None
    moved = kind_of_place(polygon).moved_along(polygon, change.motion)
    assume(moved is not None)
    assert moved is not None
    mask = painted(change.pixels(image))
    assume(mask.sum() > 150)
    assert all(0 <= v <= 1 for v in moved.value.coordinates)
    expected = painted(outlined(moved.value, GROUND, PAINT))
    rim = 3 * (WIDTH + HEIGHT)  # its outline's pixels, at most
    assert (mask != expected).sum() < min(rim, 0.35 * mask.sum())


def outlined(
    polygon: Polygon, ground: tuple[int, int, int], paint: tuple[int, int, int]
) -> PILImage.Image:
    """Drawn eightfold, so that pixels at the rim are mixed."""
    xy = polygon.coordinates
    large = PILImage.new("RGB", (8 * WIDTH, 8 * HEIGHT), ground)
    corners = [(8 * WIDTH * x, 8 * HEIGHT * y) for x, y in zip(xy[::2], xy[1::2], strict=True)]
    ImageDraw.Draw(large).polygon(corners, fill=paint)
    return large.resize((WIDTH, HEIGHT), PILImage.Resampling.BOX)


@given(name=st.sampled_from((*MOVING, "rotation")), seed=SEEDS)
def test_a_point_stays_on_its_thing_or_is_lost(name: str, seed: int) -> None:
    x, y = Random(seed).randrange(3, WIDTH - 3), Random(seed + 1).randrange(3, HEIGHT - 3)
    image = PILImage.new("RGB", (WIDTH, HEIGHT), GROUND)
    image.paste(PAINT, (x - 3, y - 3, x + 3, y + 3))
    point = Point(x / WIDTH, y / HEIGHT)
    change = drawn(name, seed)
    assert change.motion is not None
    moved = kind_of_place(point).moved_along(point, change.motion)
    if moved is None:
        return
    column, row = (
        min(int(v * side), side - 1)
        for v, side in zip(moved.value.coordinates, (WIDTH, HEIGHT), strict=True)
    )
    assert painted(change.pixels(image))[row, column]


@given(name=st.sampled_from((*MOVING, "rotation")), seed=SEEDS)
def test_a_motion_is_undone_by_its_inverse(name: str, seed: int) -> None:
    motion = drawn(name, seed).motion
    assert motion is not None
    xy = [0.1, 0.7, 0.9, 0.2]
    assert motion.inverse.of(motion.of(xy)) == pytest.approx(xy)


@pytest.mark.parametrize("name", EVERY)
def test_a_change_is_what_was_drawn_and_nothing_else(name: str) -> None:
    image = a_picture()
    before = image.tobytes()
    change = drawn(name, 3)
    changed = change.pixels(image)
    assert changed.size == image.size and changed.mode == "RGB"
    assert changed.tobytes() != before
    assert image.tobytes() == before
    again = pickle.loads(pickle.dumps(change))
    assert again == change == drawn(name, 3)
    assert again.pixels(image).tobytes() == changed.tobytes()
    assert repr(change).startswith(name)
    assert (change.motion is not None) == AugmentSpec(name=name).augmentation.moves


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"grayscale", "horizontal_flip"}))
def test_what_is_drawn_differs(name: str) -> None:
    image = a_picture()
    assert len({drawn(name, seed).pixels(image).tobytes() for seed in range(5)}) >= 4


def test_colours_change_as_much_as_the_keys_say() -> None:
    image = PILImage.new("RGB", (8, 8), (200, 100, 50))
    off = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    assert drawn("color_jitter", 0, **off).pixels(image).tobytes() == image.tobytes()
    for seed in range(20):
        brighter = drawn("color_jitter", seed, **{**off, "brightness": 0.2}).pixels(image)
        red, green, blue = np.asarray(brighter)[0, 0].tolist()
        assert 160 <= red <= 240
        assert green == pytest.approx(red / 2, abs=1) and blue == pytest.approx(red / 4, abs=1)
        turned = drawn("color_jitter", seed, **{**off, "hue": 0.5}).pixels(image)
        assert int(np.asarray(turned)[0, 0].max()) == pytest.approx(200, abs=2)


def test_a_mirrored_outline_runs_the_same_way_round() -> None:
    square = Polygon((0.1, 0.1, 0.4, 0.1, 0.4, 0.4, 0.1, 0.4))
    motion = drawn("horizontal_flip", 0).motion
    assert motion is not None
    moved = kind_of_place(square).moved_along(square, motion)
    assert moved is not None
    assert moved.value.xy == pytest.approx((0.9, 0.1, 0.9, 0.4, 0.6, 0.4, 0.6, 0.1))
