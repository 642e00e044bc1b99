import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.worlds.conftest import OPTIONS, held_out, manifest, rows
from unified_vl.errors import UserError
from unified_vl.worlds.emoji import EmojiWorldOptions, choose_world, fingerprint, write_emoji_world
from unified_vl.worlds.emoji_names import LANGUAGES, all_emoji

SPLITS = ("train", "validation", "test")
TASKS = ("emoji_caption", "emoji_ground", "emoji_match", "emoji_segment")


def test_the_same_options_give_the_same_bytes(world: Path, tmp_path: Path) -> None:
    write_emoji_world(tmp_path / "again", OPTIONS)
    assert fingerprint(tmp_path / "again") == fingerprint(world)
    for name in ("emoji_world.json", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (world / name).read_bytes()
    assert manifest(world)["fingerprint"] == fingerprint(world)


def test_the_tasks_of_version_1_still_draw_what_they_drew(world: Path) -> None:
    # It fails with a numpy whose generators draw otherwise, as the world then differs too.
    drawn = []
    for split in SPLITS:
        drawn += [[row["phrase"], row["emoji"]] for row in rows(world, "emoji_ground", split)]
        drawn += [[row["caption"], row["answer"]] for row in rows(world, "emoji_match", split)]
    assert hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16] == "796a41b030d02105"


def test_other_training_scenes_leave_the_other_splits_as_they_are(
    world: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write_emoji_world(other, replace(OPTIONS, train_scenes=1))
    found = [path.relative_to(world) for path in world.glob("*/**/*") if path.is_file()]
    apart = [path for path in found if "train" not in (path.parent.name, path.stem)]
    assert {path.parts[0] for path in apart} >= {"emoji_segment", "masks", "pictures"}
    for path in apart:
        assert (other / path).read_bytes() == (world / path).read_bytes(), path


def test_another_seed_gives_other_scenes_and_held_out_languages(world: Path) -> None:
    other, _ = choose_world(EmojiWorldOptions(concepts=28, seed=6))
    assert {one.emoji: list(one.held_out) for one in other} != held_out(world)


def test_captions_have_the_names_of_the_scene_and_the_right_cell(world: Path) -> None:
    names = {one["emoji"]: one["names"] for one in manifest(world)["concepts"]}
    secret = held_out(world)
    for split in SPLITS:
        for row in rows(world, "emoji_caption", split):
            language = row["language"]
            at = [row["caption"].find(names[one][language]) for one in row["emoji"]]
            assert -1 not in at
            is_secret = any(language in secret[one] for one in row["emoji"])
            assert row["cell"] == ("held_out" if is_secret else "seen")


@pytest.mark.parametrize("task", TASKS)
def test_held_out_cells_are_in_the_test_split_only(world: Path, task: str) -> None:
    for split in ("train", "validation"):
        assert {row["cell"] for row in rows(world, task, split)} == {"seen"}
    assert {row["cell"] for row in rows(world, task, "test")} == {"seen", "held_out"}


def test_no_row_of_train_grounds_an_emoji_in_a_held_out_language(world: Path) -> None:
    secret = held_out(world)
    for split in SPLITS:
        for row in rows(world, "emoji_ground", split):
            is_secret = row["language"] in secret[row["emoji"]]
            assert row["cell"] == ("held_out" if is_secret else "seen")


def test_no_combination_of_a_test_scene_is_in_another_split(world: Path) -> None:
    def combinations(split: str) -> set[frozenset[str]]:
        found = (frozenset(row["emoji"]) for row in rows(world, "emoji_caption", split))
        return {one for one in found if len(one) > 1}

    assert len(combinations("test")) > 5
    assert combinations("test").isdisjoint(combinations("train") | combinations("validation"))


def test_the_test_split_has_every_scene_in_14_languages(world: Path) -> None:
    for task, scenes in (
        ("emoji_caption", 20),
        ("emoji_ground", 10),
        ("emoji_match", 10),
        ("emoji_segment", 10),
    ):
        found = Counter(row["language"] for row in rows(world, task, "test"))
        assert found == dict.fromkeys(LANGUAGES, scenes)


@pytest.mark.parametrize("task", [*TASKS, "easy_vqa"])
def test_images_exist_and_keys_are_unique(world: Path, task: str) -> None:
    for split in SPLITS:
        found = rows(world, task, split)
        assert len({row["key"] for row in found}) == len(found) > 0
        assert all((world / image).is_file() for image in {row["image"] for row in found})


def test_pictures_have_the_size_asked_for(world: Path) -> None:
    with Image.open(world / "scenes" / "train" / "000000.png") as picture:
        assert picture.size == (64, 64) and picture.mode == "RGB"


def test_the_same_world_is_used_again_and_another_is_refused(world: Path) -> None:
    assert not write_emoji_world(world, OPTIONS)
    with pytest.raises(UserError, match="other options") as error:
        write_emoji_world(world, EmojiWorldOptions(concepts=28))
    assert error.value.file == str(world.resolve())


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        write_emoji_world(tmp_path, OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failure_leaves_nothing_half_written(tmp_path: Path) -> None:
    def fail(stage: str, done: int, total: int) -> None:
        if stage == "validation scenes":
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_emoji_world(tmp_path / "world", OPTIONS, fail)
    assert list(tmp_path.iterdir()) == []


def test_all_emoji_make_a_world() -> None:
    known = all_emoji()
    concepts, arts = choose_world(EmojiWorldOptions(concepts=len(known)))
    assert len(concepts) == len(arts) == len(known)
    with pytest.raises(UserError, match=f"at most {len(known)}"):
        choose_world(EmojiWorldOptions(concepts=len(known) + 1))


@pytest.mark.parametrize("field", ["concepts", "train_scenes", "image_size", "seed"])
def test_numbers_out_of_range_are_refused_by_name(field: str) -> None:
    with pytest.raises(UserError, match=f"{field}: -1 is too small"):
        EmojiWorldOptions(**{field: -1})
