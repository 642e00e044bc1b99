"""unified_vl/evaluation/reporting/gallery.py: what single rows the report shows."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.evaluation.reporting.gallery import (
    LINES_A_SCENE,
    SCENES,
    load_picture,
    scenes,
    text_pairs,
    worst_mistakes,
)

LANGUAGES = ("en", "de", "fa", "ja", "ar", "zh")


def row(task: str, image: str | None, language: str = "en", **values: Any) -> dict[str, Any]:
    return {
        "key": "k",
        "task": task,
        "language": language,
        "inputs": {},
        "input_languages": {},
        "image": image,
        "image_size": None if image is None else [64, 32],
        "prediction": "a cat",
        "references": ["a cat"],
        "boxes": None,
        "score": -0.5,
        "correct": True,
    } | values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(40):
        Image.new("RGB", (64, 32), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_scenes_do_not_depend_on_success(folder: Path) -> None:
    rows = [row("caption", f"{n}.png", tag) for n in range(40) for tag in LANGUAGES]
    wrong = [r | {"correct": n % 3 == 0, "prediction": "?"} for n, r in enumerate(rows)]
    shown = [scene.picture for scene in scenes(rows, folder)]
    assert len(shown) == SCENES
    assert [scene.picture for scene in scenes(wrong, folder)] == shown


def test_every_language_is_shown_and_none_is_preferred(folder: Path) -> None:
    rows = [row("caption", f"{n}.png", tag) for n in range(40) for tag in LANGUAGES]
    found = scenes(rows, folder)
    lines = [line.language.tag for scene in found for line in scene.texts]
    counts = [lines.count(tag) for tag in LANGUAGES]
    assert sum(counts) == SCENES * LINES_A_SCENE
    assert max(counts) - min(counts) <= 1


def test_every_kind_of_image_has_its_place(folder: Path) -> None:
    rows = [row("caption", f"{n}.png", tag) for n in range(30) for tag in LANGUAGES]
    rows += [row("vqa", f"{n}.png") for n in range(30, 40)]
    found = scenes(rows, folder)
    assert len(found) == SCENES
    assert {line.task for scene in found for line in scene.texts} == {"caption", "vqa"}


def test_a_thing_is_pointed_at_once_in_a_colour_of_its_own(folder: Path) -> None:
    boxes = [[0.0, 0.0, 9.0, 9.0], [20.0, 5.0, 30.0, 15.0]]
    rows = [
        row("ground", "1.png", tag, boxes=[[1, 1, 8, 8]], references=[box])
        for box in boxes
        for tag in LANGUAGES
    ]
    (scene,) = scenes(rows, folder)
    assert [[m.xy for m in line.true_shapes] for line in scene.pointed] == [
        [tuple(box)] for box in boxes
    ]
    assert len({line.hue for line in scene.pointed}) == 2
    assert scene.texts == ()


def test_the_worst_mistakes_are_wrong_and_surest_and_of_every_task(folder: Path) -> None:
    rows = [
        row("caption", f"{n}.png", score=-n / 10, correct=n % 2 == 0, references=["dog"])
        for n in range(20)
    ]
    rows += [row("translate", None, correct=False, score=-9.0)]
    found = worst_mistakes(rows, folder)
    assert [line.task for _, line in found] == ["caption"] * 3 + ["translate"]
    sure = [100 * math.exp(-n / 10) for n in (1, 3, 5)]
    assert [line.confidence for _, line in found[:3]] == pytest.approx(sure)
    assert not any(line.correct for _, line in found)
    assert found[3][0] == ()


@pytest.mark.parametrize("images", [None, ["1.png", "2.png"]])
def test_rows_without_a_single_image_have_their_limit_and_their_pictures(
    folder: Path, images: list[str] | None
) -> None:
    several = {} if images is None else {"several_images": images}
    rows = [
        row("compare", None, correct=False, references=["no"], **several) | {"score": -n / 10}
        for n in range(200)
    ]
    found = worst_mistakes(rows, folder)
    assert len(found) == (3 if images is None else 1)  # no image twice
    assert [len(pictures) for pictures, _ in found] == ([0, 0, 0] if images is None else [2])


def test_a_question_is_in_the_language_it_was_asked_in() -> None:
    asked = {"inputs": {"text": "Katze"}, "input_languages": {"from": "de"}}
    (line,) = text_pairs([row("translate", None, "fa", prediction="گربه", **asked)])
    assert (line.asked, line.asked_in.tag, line.language.direction) == (("Katze",), "de", "rtl")


def test_a_picture_keeps_its_pixels_and_a_large_one_is_made_smaller(folder: Path) -> None:
    small = load_picture(folder, "7.png")
    assert small is not None
    data = base64.b64decode(small.data.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (64, 32)
        assert image.getpixel((3, 3)) == (7, 0, 0)
    Image.new("RGB", (2000, 1000)).save(folder / "large.jpg")
    large = load_picture(folder, "large.jpg")
    assert large is not None
    assert (large.width, large.height, large.pixelated) == (2000, 1000, False)
    assert len(large.data) < 10_000


@pytest.mark.parametrize("name", ["none.png", "../out.png", "broken.png", "/etc/hostname"])
def test_a_picture_that_cannot_be_shown_is_left_out(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "out.png")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert load_picture(root, name) is None


def test_no_rows_no_gallery(tmp_path: Path) -> None:
    assert scenes([], tmp_path) == []
    assert text_pairs([]) == []
    assert worst_mistakes([], tmp_path) == []
