import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.worlds.emoji_names import LANGUAGES, join_names
from unified_vl.worlds.emoji_scenes import FEWEST_CONCEPTS, Scene, in_split
from unified_vl.worlds.emoji_tasks import Concept, draw_held_out, match_rows, translate_rows


def concepts(count: int) -> list[Concept]:
    held_out = draw_held_out(count, np.random.default_rng(0))
    return [
        Concept(chr(0x1F400 + at), {tag: f"{tag}{at}" for tag in LANGUAGES}, held_out[at])
        for at in range(count)
    ]


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_held_out_languages_are_two_per_concept_and_balanced(count: int, seed: int) -> None:
    held_out = draw_held_out(count, np.random.default_rng(seed))
    assert all(len(set(pair)) == 2 and set(pair) <= set(LANGUAGES) for pair in held_out)
    times = Counter(language for pair in held_out for language in pair)
    assert max(times.values()) - min(times[language] for language in LANGUAGES) <= 1


def test_translations_hold_every_triple_once_and_as_many_lists_with_their_true_cells() -> None:
    world = {one.emoji: one for one in concepts(28)}
    number_of = {emoji: number for number, emoji in enumerate(world)}
    dealt = translate_rows(list(world.values()), np.random.default_rng(3))
    rows = [(split, row) for split, of_split in dealt.items() for row in of_split]
    assert len({row["key"] for _, row in rows}) == len(rows)
    single = [(split, row) for split, row in rows if len(row["emoji"]) == 1]
    triples = {(*row["emoji"], row["source_language"], row["language"]) for _, row in single}
    assert len(single) == len(triples) == 28 * 14 * 13
    for split, share in (("test", 0.08), ("validation", 0.02)):
        of_split = [row for found, row in single if found == split]
        assert len(of_split) == round(share * len(single))
        assert len(dealt[split]) == 2 * len(of_split)
    assert {len(row["emoji"]) for _, row in rows} == {1, 2, 3}
    for split, row in rows:
        assert in_split([number_of[emoji] for emoji in row["emoji"]], split)
        assert len(set(row["emoji"])) == len(row["emoji"])
        chosen = [world[emoji] for emoji in row["emoji"]]
        tags = (row["source_language"], row["language"])
        assert tags[0] != tags[1]
        listed = [join_names([one.names[tag] for one in chosen], tag) for tag in tags]
        assert [row["text"], row["translation"]] == listed
        held_out = any(tag in one.held_out for one in chosen for tag in tags)
        assert row["cell"] == ("held_out" if held_out else "seen")


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_language_tells_true_from_false_captions(split) -> None:
    world = concepts(FEWEST_CONCEPTS)
    names = {one.names[tag]: at for at, one in enumerate(world) for tag in LANGUAGES}
    shown = [(0, 7, 14), (7, 14, 21), (3, 4)] if split == "test" else [(0, 8, 14), (1, 2), (5,)]
    scenes = [Scene(one, (), (), (0, 0, 0)) for one in shown * 20]
    rows = list(match_rows(world, scenes, split, np.random.default_rng(4)))
    answers = Counter((row["language"], row["answer"]) for row in rows)
    for language in LANGUAGES:
        assert abs(answers[language, "yes"] - answers[language, "no"]) <= 1
    for row in rows:
        scene = scenes[int(row["key"].split("-")[1])]
        text = row["caption"]
        named = {at for name, at in names.items() if name in _parts(text, row["language"])}
        assert len(named - set(scene.concepts)) == (row["answer"] == "no")
        assert len(named) == len(scene.concepts)
        assert in_split(sorted(named), split)
        held_out = any(row["language"] in world[at].held_out for at in named)
        assert row["cell"] == ("held_out" if held_out else "seen")
        assert split == "test" or not held_out


def _parts(text: str, language: str) -> list[str]:
    return re.findall(f"{language}[0-9]+", text)
