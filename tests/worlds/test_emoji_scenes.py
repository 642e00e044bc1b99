from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.worlds.emoji_names import all_emoji
from unified_vl.worlds.emoji_scenes import (
    FEWEST_CONCEPTS,
    Split,
    draw_scene,
    in_split,
    is_test_combination,
    paint,
)


@pytest.fixture(scope="module")
def arts() -> list[Path]:
    return [one.art for one in all_emoji()[::20]]


@given(st.lists(st.integers(0, 2000), min_size=2, max_size=3, unique=True), st.randoms())
def test_a_combination_is_for_testing_or_for_training_in_any_order(concepts, random) -> None:
    shuffled = random.sample(concepts, len(concepts))
    assert in_split(concepts, "test") != in_split(concepts, "train")
    assert in_split(concepts, "train") == in_split(concepts, "validation")
    assert is_test_combination(concepts) == is_test_combination(shuffled)


@pytest.mark.parametrize("count", [2, 3])
def test_about_a_seventh_of_the_combinations_is_for_testing(count: int) -> None:
    every = list(combinations(range(FEWEST_CONCEPTS), count))
    share = sum(map(is_test_combination, every)) / len(every)
    assert 0.12 < share < 0.16


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("image_size", [32, 64, 96])
def test_boxes_lie_inside_apart_and_in_order(
    arts: list[Path], split: Split, image_size: int
) -> None:
    random = np.random.default_rng(1)
    scenes = [draw_scene(arts, split, image_size, random) for _ in range(60)]
    assert {len(scene.concepts) for scene in scenes} == {1, 2, 3}
    for scene in scenes:
        assert in_split(scene.concepts, split)
        assert len(set(scene.concepts)) == len(scene.concepts) == len(scene.boxes)
        for x1, y1, x2, y2 in scene.boxes:
            assert 0 <= x1 < x2 <= image_size and 0 <= y1 < y2 <= image_size
        centres = [(x1 + x2) / 2 for x1, _, x2, _ in scene.boxes]
        assert (np.diff(centres) >= 6 * image_size / 64).all()
        for (a1, b1, a2, b2), (c1, d1, c2, d2) in combinations(scene.boxes, 2):
            assert a2 <= c1 or c2 <= a1 or b2 <= d1 or d2 <= b1


def test_every_box_is_tight_around_pixels_that_are_not_ground(arts: list[Path]) -> None:
    random = np.random.default_rng(2)
    outside = 0
    for _ in range(40):
        scene = draw_scene(arts, "train", 64, random)
        differs = (np.asarray(paint(scene, arts, 64)) != scene.ground).any(axis=-1)
        for x1, y1, x2, y2 in scene.boxes:
            inside = differs[y1:y2, x1:x2]
            # One row may equal the ground where thin art has the ground's very colour.
            assert inside[:2].any() and inside[-2:].any()
            assert inside[:, :2].any() and inside[:, -2:].any()
            differs[y1:y2, x1:x2] = False
        outside += int(differs.sum())
    assert outside == 0
