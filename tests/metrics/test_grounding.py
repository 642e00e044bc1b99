"""unified_vl/metrics/places/grounding.py: the published definition, as lists by class."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from unified_vl.geometry import Box
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places.boxes import iou
from unified_vl.metrics.places.grounding import class_of, singular
from unified_vl.metrics.registry import METRICS

NOUNS = ["man", "dog", "boat", "shirt", "hat", "child"]
LEFT, NEAR, RIGHT = Box(0, 0, 0.5, 1), Box(0, 0, 0.45, 1), Box(0.5, 0, 1, 1)


def labelled(box: Box, text: str) -> Box:
    return Box(box.x1, box.y1, box.x2, box.y2, text)


def made_up(seed: int) -> Answers:
    rng = random.Random(seed)
    places = [LEFT, NEAR, RIGHT]
    found, right, rest = [], [], []
    for _ in range(40):
        for boxes, count in ((found, rng.randrange(4)), (right, rng.randint(1, 3))):
            named = [(rng.choice(places), rng.choice(NOUNS)) for _ in range(count)]
            boxes.append([labelled(*each) for each in named])
        rest.append(f"by a {rng.choice(NOUNS)}.")
    return Answers(found, right, ["en"] * 40, columns={"rest": rest})


def as_published(answers: Answers, everything: bool) -> float:
    """Precision and recall as lists of hits by class; every class of the references is one."""
    precision, recall = defaultdict(list), defaultdict(list)
    rows = list(zip(answers.predictions, answers.references, answers.columns["rest"], strict=True))
    for found, right, rest in rows:
        names = [box.label for box in right]
        for box in found:
            if box.label in names:
                precision[box.label].append(iou(box, right[names.index(box.label)]) > 0.5)
            elif box.label not in rest and everything:
                precision[box.label].append(False)
        names = [box.label for box in found]
        for box in right:
            if box.label in names:
                recall[box.label].append(iou(box, found[names.index(box.label)]) > 0.5)
            elif everything:
                recall[box.label].append(False)
    classes = {box.label for _, right, _ in rows for box in right}
    p, r = (
        sum(np.mean(hits[c]) for c in classes if hits[c]) / len(classes)
        for hits in (precision, recall)
    )
    return 100 * 2 * p * r / (p + r)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("name", "everything"), [("all", True), ("loc", False)])
def test_f1_is_as_published(seed: int, name: str, everything: bool) -> None:
    answers, metric = made_up(seed), METRICS[f"grounding_f1_{name}"]
    assert metric.score(answers) == pytest.approx(as_published(answers, everything))
    some = [0, 3, 3, 7, 20, 31]  # a resample has the classes of its own rows
    assert metric.measure(answers).score(some) == pytest.approx(metric.score(answers.of(some)))


def test_both_scores_of_one_caption() -> None:
    right = [labelled(LEFT, "A man"), labelled(RIGHT, "rows two boats")]
    found = [labelled(NEAR, "Two men"), labelled(RIGHT, "hold a dog"), labelled(LEFT, "at a lake")]
    answers = Answers([found], [right], ["en"], columns={"rest": ["on the lake ."]})
    # man: right in both; boat is missed, dog is of no class of the references
    assert METRICS["grounding_f1_all"].score(answers) == pytest.approx(100 * 0.5)
    assert METRICS["grounding_f1_loc"].score(answers) == pytest.approx(100 * 0.5)
    nothing = Answers([[]], [right], ["en"], columns={"rest": ["."]})
    assert METRICS["grounding_f1_all"].score(nothing) == 0


@pytest.mark.parametrize(
    ("word", "one"),
    [
        ("dogs", "dog"),
        ("men", "man"),
        ("policewomen", "policewoman"),
        ("people", "people"),
        ("cookies", "cookie"),
        ("children", "child"),
        ("ladies", "lady"),
        ("benches", "bench"),
        ("glasses", "glass"),
        ("glass", "glass"),
        ("bus", "bus"),
        ("buses", "bus"),
        ("boxes", "box"),
        ("man", "man"),
        ("horses", "horse"),
        ("houses", "house"),
        ("bikes", "bike"),
        ("gas", "gas"),
    ],
)
def test_an_english_noun_is_made_singular(word: str, one: str) -> None:
    assert singular(word) == one
    assert class_of(f"two {word.upper()} ,", "en") == one


def test_other_languages_keep_their_words() -> None:
    assert class_of("zwei Hunde", "de") == "hunde"
    assert class_of(" ", "en") == class_of(None, "en") == ""
