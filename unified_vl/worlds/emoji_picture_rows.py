"""Rows of the three Emoji World tasks whose answer is a picture.

A (concept, language) or (square, language) cell is "held_out" when the task never trains
on it, as in the tasks that answer with text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from unified_vl.worlds.emoji_names import LANGUAGES
from unified_vl.worlds.emoji_pictures import (
    Recolouring,
    drawing_path,
    mask_path,
    recolouring_path,
)
from unified_vl.worlds.emoji_scenes import Scene, Split
from unified_vl.worlds.emoji_squares import Square
from unified_vl.worlds.emoji_tasks import SEEN, Concept, TaskRow, asked_places, scene_row


def draw_rows(concepts: Sequence[Concept], split: Split) -> Iterator[TaskRow]:
    """A row per cell of the split: the name of a concept and its drawing.

    Every concept has one drawing, so the splits differ in cells alone: training has the
    seen cells, validation one of the two held-out languages of each concept, by turns the
    first and the second, the test the other one, and all seen cells again.
    """
    for number, concept in enumerate(concepts):
        for language in LANGUAGES:
            if language in _languages_to_draw_in(number, concept, split):
                yield {
                    "key": f"{number:04d}-{language}",
                    "picture": drawing_path(number),
                    "language": language,
                    "name": concept.names[language],
                    "emoji": concept.emoji,
                    "cell": concept.cell(language),
                }


def _languages_to_draw_in(number: int, concept: Concept, split: Split) -> set[str]:
    # the two are in the order of languages: without turns one split would get all early ones
    for_validation, for_test = concept.held_out[:: 1 if number % 2 == 0 else -1]
    if split == "validation":
        return {for_validation}
    return {*LANGUAGES} - {for_validation} - ({for_test} if split == "train" else set())


def segment_rows(
    concepts: Sequence[Concept],
    scenes: Sequence[Scene],
    split: Split,
    random: np.random.Generator,
) -> Iterator[TaskRow]:
    """A row for each of `asked_places`: the name and the mask of the emoji."""
    for number, language, place in asked_places(concepts, scenes, split, random):
        concept = concepts[scenes[number].concepts[place]]
        yield scene_row(split, number, language) | {
            "mask": mask_path(split, number, place),
            "phrase": concept.names[language],
            "emoji": concept.emoji,
            "cell": concept.cell(language),
        }


def recolour_rows(
    concepts: Sequence[Concept],
    squares: Sequence[Square],
    recolourings: Sequence[Recolouring],
    split: Split,
) -> Iterator[TaskRow]:
    """A row per recolouring and language; outside the test split seen cells only."""
    for number, one in enumerate(recolourings):
        square = squares[one.square]
        for language in LANGUAGES:
            if split == "test" or square.cell(language) == SEEN:
                yield {
                    "key": f"{split}-{number:06d}-{language}",
                    "image": recolouring_path(split, number, "before"),
                    "picture": recolouring_path(split, number, "after"),
                    "language": language,
                    "colour": square.names[language],
                    "square": square.emoji,
                    "emoji": concepts[one.scene.concepts[0]].emoji,
                    "cell": square.cell(language),
                }
