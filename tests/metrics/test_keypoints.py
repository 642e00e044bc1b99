"""unified_vl/metrics/places/keypoints.py: parity with pycocotools on COCO's files."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from unified_vl.errors import UserError
from unified_vl.geometry import Point
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.places.keypoints import NAMES, NOWHERE
from unified_vl.metrics.registry import METRICS

WIDTH, HEIGHT = 640, 480


def made_up(seed: int, hidden: float) -> list[dict[str, Any]]:
    """People near each other in a few images, with answers that are more or less near."""
    rng = random.Random(seed)
    people = []
    for number in range(30):
        blur = rng.choice([1, 5, 15, 60])
        right = [(rng.uniform(100, 300), rng.uniform(100, 300)) for _ in NAMES]
        found = [(x + rng.gauss(0, blur), y + rng.gauss(0, blur)) for x, y in right]
        seen = [n == 0 or rng.random() >= hidden for n in range(len(NAMES))]
        missed = [rng.random() < 0.1 for _ in NAMES]
        sure = [rng.random() for _ in NAMES]
        people.append(
            {"id": number, "image": number // 5, "area": rng.uniform(500, 20000), "right": right}
            | {"found": found, "seen": seen, "missed": missed, "sure": sure}
        )
    return people


def answers_of(people: list[dict[str, Any]]) -> Answers:
    rows = [(p, n) for p in people for n in range(len(NAMES)) if p["seen"][n]]

    def point(xy: tuple[float, float]) -> Point:
        return Point(xy[0] / WIDTH, xy[1] / HEIGHT)

    return Answers(
        [(None if p["missed"][n] else point(p["found"][n]), p["sure"][n]) for p, n in rows],
        [[point(p["right"][n])] for p, n in rows],
        [None] * len(rows),
        keys=[f"{p['id']}_{n}" for p, n in rows],
        groups=[str(p["id"]) for p, _ in rows],
        columns={
            "keypoint": [NAMES[n].replace(" ", "_") for _, n in rows],
            "area": [p["area"] for p, _ in rows],
        },
        images=[(str(p["image"]), (WIDTH, HEIGHT)) for p, _ in rows],
    )


def as_published(people: list[dict[str, Any]], folder: Path) -> float:
    """AP by pycocotools from an annotation file and a file of results."""
    annotations, results = [], []
    for p in people:
        flat, predicted, sure = [], [], []
        for n in range(len(NAMES)):
            flat += [*p["right"][n], 2] if p["seen"][n] else [0, 0, 0]
            there = p["seen"][n] and not p["missed"][n]
            predicted += [*(p["found"][n] if there else (NOWHERE, NOWHERE)), 1]
            sure += [p["sure"][n]] if p["seen"][n] else []
        annotations.append(
            {"id": p["id"] + 1, "image_id": p["image"], "category_id": 1, "iscrowd": 0}
            | {"area": p["area"], "bbox": [100, 100, 200, 200], "keypoints": flat}
            | {"num_keypoints": sum(p["seen"])}
        )
        results.append(
            {"image_id": p["image"], "category_id": 1, "keypoints": predicted}
            | {"score": sum(sure) / len(sure)}
        )
    categories = [{"id": 1, "name": "person", "keypoints": NAMES}]
    content = {"annotations": annotations, "categories": categories, "info": {}}
    content["images"] = [{"id": image} for image in sorted({p["image"] for p in people})]
    (folder / "right.json").write_text(json.dumps(content))
    (folder / "found.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        right = COCO(str(folder / "right.json"))
        evaluation = COCOeval(right, right.loadRes(str(folder / "found.json")), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * float(evaluation.stats[0])


@pytest.mark.parametrize(("seed", "hidden"), [(0, 0.0), (1, 0.3), (2, 0.8)])
def test_average_precision_agrees_with_pycocotools(
    seed: int, hidden: float, tmp_path: Path
) -> None:
    people = made_up(seed, hidden)
    expected = as_published(people, tmp_path)
    assert 5 < expected < 95
    assert METRICS["keypoint_ap"].score(answers_of(people)) == pytest.approx(expected, abs=1e-9)


def test_all_points_right_are_100_and_none_are_0() -> None:
    people = made_up(3, 0.5)
    exact = [p | {"found": p["right"], "missed": [False] * len(NAMES)} for p in people]
    assert METRICS["keypoint_ap"].score(answers_of(exact)) == pytest.approx(100)
    nothing = [p | {"missed": [True] * len(NAMES)} for p in people]
    assert METRICS["keypoint_ap"].score(answers_of(nothing)) == 0
    half = answers_of(exact).of(range(20))
    assert METRICS["keypoint_ap"].score(half) == pytest.approx(100)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("keypoint", "left_eyes", "the OKS of 'left_eyes' is not known; .*did you mean 'left eye'"),
        ("area", None, "found the area None; expected a number above 0"),
    ],
)
def test_a_point_without_what_oks_needs_is_named(column: str, value: Any, message: str) -> None:
    answers = answers_of(made_up(0, 0.0))
    answers.columns[column][1] = value  # type: ignore[index]
    with pytest.raises(UserError, match=message):
        METRICS["keypoint_ap"].score(answers)
