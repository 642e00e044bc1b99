"""A small Emoji World, written once for all tests that only read it."""

import json
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

OPTIONS = EmojiWorldOptions(
    concepts=28, train_scenes=40, validation_scenes=10, test_scenes=20, seed=5
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("worlds") / "world"
    assert write_emoji_world(directory, OPTIONS)
    return directory


def rows(world: Path, task: str, split: str) -> list[dict]:
    return parquet.read_table(world / task / f"{split}.parquet").to_pylist()


def manifest(world: Path) -> dict:
    return json.loads((world / "emoji_world.json").read_text(encoding="utf-8"))


def held_out(world: Path) -> dict[str, list[str]]:
    return {one["emoji"]: one["held_out"] for one in manifest(world)["concepts"]}
