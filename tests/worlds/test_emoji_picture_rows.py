"""The rows of the tasks answered with a picture, in a written world."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.worlds.conftest import OPTIONS, held_out, manifest, rows
from unified_vl.worlds.emoji_names import LANGUAGES, all_emoji
from unified_vl.worlds.emoji_squares import SQUARES

SPLITS = ("train", "validation", "test")
COLUMNS = {
    "emoji_draw": {"key", "picture", "language", "name", "emoji", "cell"},
    "emoji_segment": {"key", "image", "mask", "language", "phrase", "emoji", "cell"},
    "emoji_recolour": {
        "key", "image", "picture", "language", "colour", "square", "emoji", "cell",
    },
}  # fmt: skip
PICTURES = ("image", "picture", "mask")


@pytest.fixture(scope="module")
def names() -> dict[str, dict[str, str]]:
    return {one.emoji: dict(zip(LANGUAGES, one.names, strict=True)) for one in all_emoji()}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("task", COLUMNS)
def test_rows_have_their_columns_a_key_and_pictures_of_the_size(
    world: Path, task: str, split: str
) -> None:
    found = rows(world, task, split)
    assert all(row.keys() == COLUMNS[task] for row in found)
    assert len({row["key"] for row in found}) == len(found) > 0
    for path in {row[column] for row in found for column in PICTURES if column in row}:
        with Image.open(world / path) as picture:
            assert picture.size == (OPTIONS.image_size, OPTIONS.image_size)
            assert picture.mode == ("L" if path.startswith("masks/") else "RGB")


def test_each_cell_to_draw_is_in_the_split_it_belongs_to(
    world: Path, names: dict[str, dict[str, str]]
) -> None:
    secret = held_out(world)
    seen = {(one, tag) for one in secret for tag in LANGUAGES if tag not in secret[one]}
    turns = list(enumerate(secret))  # by turns the first language and the second
    first = {(one, secret[one][number % 2]) for number, one in turns}
    second = {(one, secret[one][1 - number % 2]) for number, one in turns}
    expected = {"train": seen, "validation": first, "test": seen | second}
    for split in SPLITS:
        found = rows(world, "emoji_draw", split)
        assert len(found) == len(expected[split])
        assert {(row["emoji"], row["language"]) for row in found} == expected[split]
        for row in found:
            is_seen = (row["emoji"], row["language"]) in seen
            assert row["cell"] == ("seen" if is_seen else "held_out")
            assert row["name"] == names[row["emoji"]][row["language"]]


def test_a_concept_has_one_drawing_named_by_its_number(world: Path) -> None:
    for number, one in enumerate(manifest(world)["concepts"]):
        paths = {
            row["picture"]
            for split in SPLITS
            for row in rows(world, "emoji_draw", split)
            if row["emoji"] == one["emoji"]
        }
        assert paths == {f"pictures/draw/{number:04d}.png"}


@pytest.mark.parametrize("split", SPLITS)
def test_a_mask_is_that_of_the_emoji_named_in_the_scene_shown(
    world: Path, names: dict[str, dict[str, str]], split: str
) -> None:
    secret = held_out(world)
    shown = {row["image"]: row["emoji"] for row in rows(world, "emoji_caption", split)}
    for row in rows(world, "emoji_segment", split):
        folder, of, stem = Path(row["mask"]).with_suffix("").parts
        number, place = stem.split("-")
        assert row["image"] == f"scenes/{split}/{number}.png"
        assert (folder, of, len(number)) == ("masks", split, 6)
        assert shown[row["image"]][int(place)] == row["emoji"]
        assert row["phrase"] == names[row["emoji"]][row["language"]]
        is_secret = row["language"] in secret[row["emoji"]]
        assert row["cell"] == ("held_out" if is_secret else "seen")
        assert split == "test" or not is_secret


def test_every_emoji_of_the_scenes_asked_about_has_a_mask(world: Path) -> None:
    for split, scenes in (("train", 40), ("validation", 10), ("test", 10)):
        shown = {row["image"]: row["emoji"] for row in rows(world, "emoji_caption", split)}
        expected = {
            f"{number:06d}-{place}.png"
            for number in range(scenes)
            for place in range(len(shown[f"scenes/{split}/{number:06d}.png"]))
        }
        assert {path.name for path in (world / "masks" / split).iterdir()} == expected


@pytest.mark.parametrize(("split", "count"), [("train", 20), ("validation", 5), ("test", 6)])
def test_a_recolouring_names_its_square_in_the_languages_of_the_split(
    world: Path, names: dict[str, dict[str, str]], split: str, count: int
) -> None:
    secret = {one["emoji"]: one["held_out"] for one in manifest(world)["squares"]}
    asked: dict[int, list[str]] = {}
    squares = {}
    for row in rows(world, "emoji_recolour", split):
        number = int(row["key"].split("-")[1])
        base = f"pictures/recolour/{split}/{number:06d}"
        assert (row["image"], row["picture"]) == (f"{base}-before.png", f"{base}-after.png")
        assert row["colour"] == names[row["square"]][row["language"]]
        assert row["emoji"] in held_out(world)
        is_secret = row["language"] in secret[row["square"]]
        assert row["cell"] == ("held_out" if is_secret else "seen")
        asked.setdefault(number, []).append(row["language"])
        assert squares.setdefault(number, row["square"]) == row["square"]
    assert list(asked) == list(range(count))
    for number, languages in asked.items():
        kept_back = [] if split == "test" else secret[squares[number]]
        assert languages == [tag for tag in LANGUAGES if tag not in kept_back]


def test_the_nine_squares_share_out_the_held_out_languages(world: Path) -> None:
    squares = manifest(world)["squares"]
    assert [one["emoji"] for one in squares] == list(SQUARES)
    times = Counter(tag for one in squares for tag in one["held_out"])
    assert all(len(set(one["held_out"])) == 2 for one in squares)
    assert times.keys() == set(LANGUAGES) and set(times.values()) == {1, 2}
