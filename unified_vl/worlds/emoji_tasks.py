"""Rows of the four Emoji World tasks, made from concepts and scenes.

A (concept, language) cell is "held_out" when captioning, grounding and matching never
train on it; a row is held out when any name in it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unified_vl.worlds.emoji_names import LANGUAGES, join_names
from unified_vl.worlds.emoji_scenes import Scene, Split, draw_combination, in_split

SEEN, HELD_OUT = "seen", "held_out"
TRANSLATION_SHARES: dict[Split, float] = {"test": 0.08, "validation": 0.02}

TaskRow = dict[str, object]


@dataclass(frozen=True, slots=True)
class Concept:
    """An emoji of the world: its names by language, and the two held-out languages."""

    emoji: str
    names: dict[str, str]
    held_out: tuple[str, ...]

    def cell(self, language: str) -> str:
        return HELD_OUT if language in self.held_out else SEEN


def draw_held_out(count: int, random: np.random.Generator) -> list[tuple[str, str]]:
    """Two languages for each of `count` concepts, every language equally often.

    Each group of seven concepts in a random order shares out the 14 languages once; so
    no two languages are more than one apart in how often they are held out.
    """
    pairs_per_deal = len(LANGUAGES) // 2
    held_out: list[tuple[str, str]] = [("", "")] * count
    order = random.permutation(count).tolist()
    for start in range(0, count, pairs_per_deal):
        deal = random.permutation(len(LANGUAGES)).tolist()
        for place, concept in enumerate(order[start : start + pairs_per_deal]):
            first, second = sorted(deal[2 * place : 2 * place + 2])
            held_out[concept] = (LANGUAGES[first], LANGUAGES[second])
    return held_out


def image_path(split: Split, number: int) -> str:
    """Where a scene's picture lies, relative to the data root."""
    return f"scenes/{split}/{number:06d}.png"


def _cell(concepts: Sequence[Concept], chosen: Sequence[int], language: str) -> str:
    held_out = any(language in concepts[at].held_out for at in chosen)
    return HELD_OUT if held_out else SEEN


def _caption(concepts: Sequence[Concept], chosen: Sequence[int], language: str) -> str:
    return join_names([concepts[at].names[language] for at in chosen], language)


def scene_row(split: Split, number: int, language: str) -> TaskRow:
    """What every row about a scene starts with."""
    return {
        "key": f"{split}-{number:06d}-{language}",
        "image": image_path(split, number),
        "language": language,
    }


def caption_rows(
    concepts: Sequence[Concept], scenes: Sequence[Scene], split: Split
) -> Iterator[TaskRow]:
    """A row per scene and language; outside the test split seen cells only."""
    for number, scene in enumerate(scenes):
        for language in LANGUAGES:
            cell = _cell(concepts, scene.concepts, language)
            if split == "test" or cell == SEEN:
                yield scene_row(split, number, language) | {
                    "caption": _caption(concepts, scene.concepts, language),
                    "emoji": [concepts[at].emoji for at in scene.concepts],
                    "cell": cell,
                }


def asked_places(
    concepts: Sequence[Concept],
    scenes: Sequence[Scene],
    split: Split,
    random: np.random.Generator,
) -> Iterator[tuple[int, str, int]]:
    """For every scene and language one of the scene's emoji at random.

    Outside the test split only emoji whose name in that language is a seen cell; a scene
    without one is passed over in that language.

    Returns:
        (number of the scene, language, place of the emoji in the scene).
    """
    for number, scene in enumerate(scenes):
        for language in LANGUAGES:
            allowed = [
                place
                for place, at in enumerate(scene.concepts)
                if split == "test" or concepts[at].cell(language) == SEEN
            ]
            if allowed:
                yield number, language, allowed[int(random.integers(len(allowed)))]


def ground_rows(
    concepts: Sequence[Concept],
    scenes: Sequence[Scene],
    split: Split,
    random: np.random.Generator,
) -> Iterator[TaskRow]:
    """A row for each of `asked_places`: the name and the box of the emoji."""
    for number, language, place in asked_places(concepts, scenes, split, random):
        concept = concepts[scenes[number].concepts[place]]
        yield scene_row(split, number, language) | {
            "phrase": concept.names[language],
            "box": list(scenes[number].boxes[place]),
            "emoji": concept.emoji,
            "cell": concept.cell(language),
        }


def match_rows(
    concepts: Sequence[Concept],
    scenes: Sequence[Scene],
    split: Split,
    random: np.random.Generator,
) -> Iterator[TaskRow]:
    """A row per scene and language, in each language by turns a true and a false caption.

    A false caption has one emoji replaced by one that is not in the scene, such that the
    combination it names belongs to the same split: else the text alone would tell false
    captions from true ones. Outside the test split all names are seen cells.
    """
    turns = {language: place % 2 == 0 for place, language in enumerate(LANGUAGES)}
    for number, scene in enumerate(scenes):
        for language in LANGUAGES:
            if split != "test" and _cell(concepts, scene.concepts, language) != SEEN:
                continue
            true = turns[language]
            turns[language] = not true
            named = scene.concepts
            if not true:
                named = _with_one_replaced(concepts, named, split, language, random)
            yield scene_row(split, number, language) | {
                "caption": _caption(concepts, named, language),
                "answer": "yes" if true else "no",
                "cell": _cell(concepts, named, language),
            }


def _with_one_replaced(
    concepts: Sequence[Concept],
    shown: tuple[int, ...],
    split: Split,
    language: str,
    random: np.random.Generator,
) -> tuple[int, ...]:
    # Drawing until it fits ends: FEWEST_CONCEPTS leaves a fitting emoji for any scene.
    while True:
        place = int(random.integers(len(shown)))
        other = int(random.integers(len(concepts)))
        named = (*shown[:place], other, *shown[place + 1 :])
        may_be_named = split == "test" or concepts[other].cell(language) == SEEN
        if other not in shown and may_be_named and in_split(named, split):
            return named


def translate_rows(
    concepts: Sequence[Concept], random: np.random.Generator
) -> dict[Split, list[TaskRow]]:
    """Every (concept, source, target language) once, dealt to the splits at random, and as many
    lists of two or three names, of combinations that belong to the split.

    Translation trains on all languages; `cell` says whether both languages are seen
    cells of all its concepts in the other tasks.
    """
    triples = [
        (concept, source, target)
        for concept in range(len(concepts))
        for source in LANGUAGES
        for target in LANGUAGES
        if source != target
    ]
    order = random.permutation(len(triples)).tolist()
    tests = round(TRANSLATION_SHARES["test"] * len(triples))
    validations = round(TRANSLATION_SHARES["validation"] * len(triples))
    dealt: dict[Split, list[int]] = {
        "train": order[tests + validations :],
        "validation": order[tests : tests + validations],
        "test": order[:tests],
    }
    found: dict[Split, list[TaskRow]] = {}
    number = len(triples)
    for split, numbers in dealt.items():
        rows = []
        for at in sorted(numbers):
            concept, source, target = triples[at]
            rows.append(_translate_row(at, concepts, [concept], source, target))
        for at in range(number, number + len(numbers)):
            source, target = random.permutation(LANGUAGES)[:2].tolist()
            listed = draw_combination(2 + int(random.integers(2)), len(concepts), split, random)
            rows.append(_translate_row(at, concepts, listed, source, target))
        number += len(numbers)
        found[split] = rows
    return found


def _translate_row(
    number: int, concepts: Sequence[Concept], chosen: Sequence[int], source: str, target: str
) -> TaskRow:
    cells = {_cell(concepts, chosen, language) for language in (source, target)}
    return {
        "key": f"{number:07d}-{source}-{target}",
        "source_language": source,
        "language": target,
        "text": _caption(concepts, chosen, source),
        "translation": _caption(concepts, chosen, target),
        "emoji": [concepts[at].emoji for at in chosen],
        "cell": SEEN if cells == {SEEN} else HELD_OUT,
    }
