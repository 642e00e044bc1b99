"""unified_vl/app/answer.py, inputs.py and examples.py, without Gradio."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from unified_vl.app.answer import MOST_ANSWERS, answer, drawn
from unified_vl.app.examples import find_examples
from unified_vl.app.inputs import MOST_CHARACTERS, Input, all_inputs, inputs_of
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL

IMAGE, PHRASE, TEXT = Input("image", "image"), Input("phrase", "text"), Input("text", "text")


@pytest.fixture
def predictor(tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


def test_inputs_are_those_of_the_source_images_first(tiny) -> None:
    assert inputs_of(tiny.specs["tiny_ground"]) == (IMAGE, PHRASE)
    assert inputs_of(tiny.specs["tiny_copy"]) == (TEXT,)
    assert all_inputs(reversed(tiny.specs.values())) == (IMAGE, TEXT, PHRASE)


@pytest.mark.parametrize(
    ("task", "language", "text", "said"),
    [
        ("tiny_cpoy", "en", "yes", "task: the model has no such task"),
        ("/etc/passwd", "en", "yes", "task: the model has no such task"),
        ("tiny_copy", "eo", "yes", "unknown language"),
        ("tiny_copy", "en", "", "text: is empty"),
        ("tiny_copy", "en", "a" * (MOST_CHARACTERS + 1), "at most 10,000 characters"),
        ("tiny_copy", "en", {"a": 1}, "text: is no such text"),
        ("tiny_ground", "en", "yes", "image: is empty"),
    ],
)
def test_what_cannot_be_asked_is_said_without_a_place(
    predictor: UnifiedVL, task: str, language: str, text: object, said: str
) -> None:
    found = answer(predictor, task, language, {TEXT: text, PHRASE: text}, 1)
    assert said in found.html
    assert "input:" not in found.html
    assert found.picture is None


@pytest.mark.parametrize("count", [-1, 0, 3, 1000])
def test_the_number_of_answers_is_bounded(predictor: UnifiedVL, count: int) -> None:
    found = answer(predictor, "tiny_copy", "en", {TEXT: "a red cat"}, count)
    expected = {3: 3, 1000: MOST_ANSWERS}.get(count, 0)
    assert found.html.count("<tr><td>") == expected


def test_markup_of_a_user_is_text(predictor: UnifiedVL) -> None:
    found = answer(predictor, "tiny_copy", "en", {TEXT: "<script>alert(1)</script>"}, 1)
    assert "<script>" not in found.html
    assert "&lt;script&gt;" in found.html


def test_boxes_are_where_they_were_on_a_drawn_picture() -> None:
    for size, expected in (((40, 20), (480, 240)), ((4000, 1000), (1600, 400))):
        picture = drawn(Image.new("RGB", size, "white"), [[0.25 * v for v in (*size, *size)]])
        assert picture.size == expected
    small = drawn(Image.new("RGB", (40, 20), "black"), [[10, 5, 30, 15]])
    assert small.getpixel((120, 120)) != (0, 0, 0)  # the left edge, 12 times enlarged
    assert small.getpixel((240, 120)) == (0, 0, 0)


def test_examples_are_rows_of_the_tasks_data(tiny, tmp_path: Path) -> None:
    found = find_examples(tiny.specs.values(), tiny.data, tmp_path)
    assert set(found) == set(tiny.specs)
    assert [e.values for e in found["tiny_copy"]] == [{TEXT: "yes"}]
    assert {e.language for e in found["tiny_ground"]} == {"en", "de", "fa"}
    for example in found["tiny_caption"]:
        path = Path(example.values[IMAGE])
        assert path.is_relative_to(tmp_path)
        assert Image.open(path).size == (40, 20)


def test_examples_of_a_folder_are_its_readable_images(tiny, tmp_path: Path, picture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(12):
        picture(number).save(folder / f"{number:02d}.png")
    (folder / "00.png").write_bytes(b"no image")
    found = find_examples(tiny.specs.values(), folder, tmp_path / "page")
    assert list(found) == ["tiny_caption"]  # the others need a text too
    colours = [Image.open(e.values[IMAGE]).getpixel((0, 0)) for e in found["tiny_caption"]]
    assert colours == [picture(n).getpixel((0, 0)) for n in range(1, 9)]


def test_a_folder_without_examples_is_named(tiny, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no example .*expected a data root, or images"):
        find_examples(tiny.specs.values(), tmp_path, tmp_path / "page")
    with pytest.raises(UserError, match="there is no folder of examples here"):
        find_examples(tiny.specs.values(), tmp_path / "none", tmp_path / "page")
