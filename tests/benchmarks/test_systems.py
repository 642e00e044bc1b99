"""Ideas of published systems: each row is a run that can be read, and stands in its page; what is
told of a scene beside its caption is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/systems.md").read_text(encoding="utf-8")


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("systems")


@pytest.fixture
def world(systems: Any) -> Any:
    return importlib.import_module("systems_world")


def test_every_row_is_a_run_that_differs_from_the_plain_one(systems: Any, tmp_path: Path) -> None:
    runs = {
        name: systems.write_run(name, 0, 8, tmp_path / f"{name}-0-1" / "whole")
        for name in systems.IDEAS
    }
    plain = runs.pop(systems.PLAIN)
    for name, run in runs.items():
        (first, *_) = run.loaded_mixture.specs
        assert first.task == systems.IDEAS[name].task, "what all are scored by"
        same = run.loaded_mixture.tasks == plain.loaded_mixture.tasks
        assert not (same and run.model == plain.model), name


def test_the_page_has_all_rows_and_its_links_lead_somewhere(systems: Any) -> None:
    named = set(re.findall(r"row `(\w+)`", PAGE))
    assert named == systems.IDEAS.keys() - {systems.PLAIN}
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_means_and_deviations_stand_in_the_table(systems: Any) -> None:
    class Options:
        seconds, test, languages = 300.0, 200, ("en",)

    results = [
        {
            "name": name,
            "seed": seed,
            "updates": 100,
            "seconds": 300,
            "chrf": chrf,
            "exact_match": 1.0,
        }
        for name, seed, chrf in (("plain", 0, 40.0), ("plain", 1, 42.0), ("masked", 0, 44.0))
    ]
    table = systems.as_table(results, "python benchmarks/systems.py", Options)
    assert (
        "| plain | OFA, GIT: captions are written, nothing else is learnt | 2 | 100 | 300 |"
        in table
    )
    assert "| 100 | 300 | 41.0 ± 1.4 | 1.0 ± 0.0 |" in table
    assert "| 1 | 100 | 300 | 44.0 | 1.0 |" in table


def test_what_is_told_of_a_scene_is_true(world: Any, tmp_path: Path) -> None:
    options = EmojiWorldOptions(concepts=28, train_scenes=8, validation_scenes=2, test_scenes=8)
    data, tags = tmp_path / "data", ("en", "de")
    write_emoji_world(data, options)
    world.keep_languages(data, tags)
    world.write_scene_rows(data, options, tags)
    for split in world.SPLITS:
        grounded = {
            (row["image"], row["language"], row["phrase"]): row["box"]
            for row in parquet.read_table(data / f"emoji_ground/{split}.parquet").to_pylist()
        }
        rows = parquet.read_table(data / f"read_caption/{split}.parquet").to_pylist()
        captions = {(row["image"], row["language"]): row["caption"] for row in rows}
        for row in rows:
            place = row["image"], row["language"]
            assert row["language"] in tags
            assert "".join(row["pieces"]).replace(" ", "") == row["caption"].replace(" ", "")
            assert all(name in row["read"] for name in row["names"])
            for name, box in zip(row["names"], row["boxes"], strict=True):
                assert grounded.get((*place, name), box) == box
            other = captions.get((row["image"], "de" if row["language"] == "en" else "en"))
            assert row["translation"] in ("", other), "of a scene that both may name"
        turns = parquet.read_table(data / f"scene_dialogue/{split}.parquet").to_pylist()
        assert len(turns) == sum(len(row["names"]) + 1 for row in rows)
        for turn in turns:
            assert len(turn["before"]) == len(turn["questions"])


def test_words_of_another_language_are_other_words(world: Any, tmp_path: Path) -> None:
    world.write_dictionary(tmp_path / "names.tsv")
    first, *pairs = (tmp_path / "names.tsv").read_text(encoding="utf-8").splitlines()
    assert first == "en\tde"
    assert len(pairs) > 15
    for pair in pairs:
        english, german = pair.split("\t")
        assert english != german
        assert " " not in pair
