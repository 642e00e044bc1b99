"""How other models write places: each convention on answers as its models give them."""

from __future__ import annotations

import pytest

from unified_vl.box_conventions import from_florence, from_paligemma, to_florence, to_paligemma
from unified_vl.geometry import Box, to_pixels
from unified_vl.kinds.registry import place_kind
from unified_vl.other_models.place_conventions import CONVENTIONS, OF_MODEL_TYPES, shape_at

SIZE = (200, 100)  # pixels of the image
HALF = [20, 30, 100, 80]  # a box in it

BOXES = [
    ("pixels", "[20, 30, 100, 80]", [("", HALF)]),
    ("pixels", "The dog is at (20,30),(100,80).", [("The dog is at", HALF)]),
    ("pixels", "20 30 100 80", [("", HALF)]),
    ("pixels", '{"x1": 20, "y1": 30, "x2": 100, "y2": 80}', [("", HALF)]),
    ("pixels", "x1=20.0, y1=30.0", []),
    ("pixels", "nothing", []),
    ("pixels", "[100, 80, 20, 30]", [("", HALF)]),
    ("pixels", "[20, 30, 20, 80]", []),
    ("pixels", "[20, 30, 400, 80]", [("", [20, 30, 200, 80])]),
    (
        "pixels",
        '```json\n[{"bbox_2d": [20, 30, 100, 80], "label": "a dog"}, '
        '{"bbox_2d": [0, 0, 10, 10], "label": "猫"}]\n```',
        [("a dog", HALF), ("猫", [0, 0, 10, 10])],
    ),
    (
        "pixels",
        "dog: [20, 30, 100, 80]\ncat: [0, 0, 10, 10]",
        [("dog", HALF), ("cat", [0, 0, 10, 10])],
    ),
    ("seen_pixels", '[{"bbox_2d": [20, 30, 100, 80]}]', [("", HALF)]),
    (
        "thousand",
        "<|object_ref_start|>the dog<|object_ref_end|><|box_start|>(100,300),(500,800)<|box_end|>",
        [("the dog", HALF)],
    ),
    (
        "thousand",
        "<ref>dogs</ref><box>[[100, 300, 500, 800], [0, 0, 50, 100]]</box>",
        [("dogs", HALF), ("dogs", [0, 0, 10, 10])],
    ),
    (
        "thousand_yx",
        '[{"box_2d": [300, 100, 800, 500], "label": "dog"}]',
        [("dog", HALF)],
    ),
    ("fractions", "[0.1, 0.3, 0.5, 0.8]", [("", HALF)]),
    (
        "paligemma",
        "<loc0307><loc0102><loc0818><loc0512> dog ; <loc0000><loc0000><loc0102><loc0051> cat",
        [("dog", [19.94, 30.01, 100.1, 79.96]), ("cat", [0, 0, 9.97, 9.97])],
    ),
    (
        "florence",
        "dog<loc_100><loc_300><loc_500><loc_800>cat<loc_0><loc_0><loc_50><loc_100>",
        [("dog", [20.1, 30.05, 100.1, 80.05]), ("cat", [0.1, 0.05, 10.1, 10.05])],
    ),
    (
        "kosmos",
        "<grounding> An image of<phrase> a dog</phrase><object><patch_index_0291>"
        "<patch_index_0815></object>",
        [("a dog", [21.875, 29.6875, 96.875, 79.6875])],
    ),
]


def near(xy: list[float]) -> list[object]:
    return [pytest.approx(v, abs=0.06) for v in xy]


@pytest.mark.parametrize(("name", "answer", "expected"), BOXES)
def test_boxes(name: str, answer: str, expected: list[tuple[str, list[float]]]) -> None:
    found = CONVENTIONS[name].shapes(answer, place_kind("box"), SIZE)
    assert [(label, to_pixels(box, *SIZE)) for label, box in found] == [
        (label, near(xy)) for label, xy in expected
    ]


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("pixels", "(20, 30)", [[20, 30]]),
        ("pixels", '{"point_2d": [20, 30], "label": "dog"}', [[20, 30]]),
        ("pixels", '[{"x": 20, "y": 30}]', [[20, 30]]),
        ("molmo", '<point x="10.0" y="30.0" alt="dog">dog</point>', [[20, 30]]),
        (
            "molmo",
            '<points x1="10.0" y1="30.0" x2="50" y2="80" alt="dogs">dogs</points>',
            [[20, 30], [100, 80]],
        ),
        ("florence", "dog<loc_100><loc_300>", [[20.1, 30.05]]),
    ],
)
def test_points(name: str, answer: str, expected: list[list[float]]) -> None:
    found = CONVENTIONS[name].shapes(answer, place_kind("point"), SIZE)
    assert [to_pixels(point, *SIZE) for _, point in found] == [near(xy) for xy in expected]


def test_outlines() -> None:
    kind = place_kind("polygon")
    ((_, found),) = CONVENTIONS["thousand"].shapes("[[100,300],[500,800],[0,0]]", kind, SIZE)
    assert to_pixels(found, *SIZE) == near([20, 30, 100, 80, 0, 0])


@pytest.mark.parametrize(
    "box", [Box(0.1, 0.2, 0.7, 0.9), Box(0, 0, 1, 1), Box(0.333, 0.5, 0.334, 0.51)]
)
def test_tokens_mean_what_the_conventions_of_the_package_say(box: Box) -> None:
    """unified_vl/box_conventions.py has the same arithmetic, from the models' own code."""
    for name, written, expected in (
        ("paligemma", "<loc{:04}>", from_paligemma(to_paligemma(box))),
        ("florence", "<loc_{}>", from_florence(to_florence(box))),
    ):
        bins = to_paligemma(box) if name == "paligemma" else to_florence(box)
        answer = "".join(written.format(n) for n in bins)
        found = CONVENTIONS[name].shapes(answer, place_kind("box"), SIZE)
        expected_xy = expected.coordinates
        if expected.x1 == expected.x2 or expected.y1 == expected.y2:
            assert not found
        else:
            ((_, shape),) = found
            assert shape.coordinates == pytest.approx(expected_xy)


def test_kosmos_is_read_as_transformers_reads_it() -> None:
    from transformers.models.kosmos2.processing_kosmos2 import patch_index_to_coordinate

    for first, last in ((291, 815), (0, 1023), (5, 5), (32, 40), (3, 99)):
        answer = f"<patch_index_{first:04}><patch_index_{last:04}>"
        ((_, box),) = CONVENTIONS["kosmos"].shapes(answer, place_kind("box"), SIZE)
        assert box.coordinates == pytest.approx(patch_index_to_coordinate(first, last, 32))


def test_families_have_conventions() -> None:
    from transformers import CONFIG_MAPPING

    assert set(OF_MODEL_TYPES.values()) <= set(CONVENTIONS)
    assert set(OF_MODEL_TYPES) <= set(CONFIG_MAPPING)


def test_what_is_no_place() -> None:
    assert shape_at(place_kind("box"), [0.1, 0.2, 0.3]) is None
    assert shape_at(place_kind("box"), [1.5, 0.2, 3, 0.4]) is None  # beyond the image
