"""unified_vl/app/answer.py, inputs.py and examples.py, without Gradio."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.painting import SIDE, painter, task
from unified_vl.app.answer import MOST_ANSWERS, answer, drawn
from unified_vl.app.examples import find_examples
from unified_vl.app.inputs import MOST_CHARACTERS, Input, all_inputs, inputs_of, read_values
from unified_vl.errors import UserError
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.load import load_task

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


def test_shapes_are_where_they_were_on_a_drawn_picture() -> None:
    def found(boxes: list, **shapes: list) -> Prediction:
        return Prediction(None, "", 0.0, shapes={"boxes": boxes, **shapes})

    for size, expected in (((40, 20), (480, 240)), ((4000, 1000), (1600, 400))):
        assert drawn(Image.new("RGB", size, "white"), found([])).size == expected
    black = Image.new("RGB", (40, 20), "black")
    boxed = drawn(black, found([[10, 5, 30, 15]], labels=["x"]))
    assert boxed.getpixel((120, 120)) != (0, 0, 0)  # the left edge, 12 times enlarged
    assert boxed.getpixel((240, 120)) == (0, 0, 0)
    other = drawn(black, found([], points=[[10, 5]], polygons=[[30, 2, 38, 2, 34, 10]]))
    assert other.getpixel((120, 60)) != (0, 0, 0)
    assert other.getpixel((408, 24)) != (0, 0, 0)
    assert other.getpixel((240, 200)) == (0, 0, 0)


MANY = """
task: many
version: 1
about: Many values.
data: {reader: jsonl, path: "{split}.jsonl", splits: {test: test}, languages: [en]}
fields:
  images: {kind: image, column: images, many: true}
  options: {kind: text, column: options, many: true}
  spots: {kind: box, column: spots, many: true, layout: xyxy, units: pixels}
  place: {kind: point, column: place, units: pixels}
  number: {kind: number, column: number}
example:
  source: "{images} {options} {spots} {place}"
  target: "{number}"
  pick: {options: first}
score: [{metric: accuracy, against: number, primary: true}]
"""


def test_fields_of_many_values_take_a_line_each(
    predictor: UnifiedVL, tmp_path: Path, picture
) -> None:
    (tmp_path / "many.yaml").write_text(MANY)
    spec = load_task(tmp_path / "many.yaml")
    picture(1).save(tmp_path / "a.png")
    given = dict(
        zip(
            inputs_of(spec),
            [[str(tmp_path / "a.png")] * 2, "a dog\n\na cat", "[1, 2, 3, 4]\n5 6 7 8", "(9, 9)"],
            strict=True,
        )
    )
    values = read_values(spec, given)
    assert len(values["images"]) == 2
    assert values["options"] == ["a dog", "a cat"]
    assert values["spots"] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert values["place"] == [9, 9]
    predictor.specs = {**predictor.specs, "many": spec}
    html = answer(predictor, "many", "en", given, 1).html
    assert "[box 1.0 2.0 3.0 4.0]" in html and "[point 9.0 9.0]" in html
    given[next(one for one in given if one.name == "place")] = "here"
    assert (
        "place: found &#39;here&#39;; expected the numbers of a point"
        in answer(predictor, "many", "en", given, 1).html
    )


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


def test_pictures_that_are_written_are_shown_and_holes_in_given_ones_kept(tmp_path: Path) -> None:
    how = "generate: {method: sample, allow: image_codes, max_tokens: 5}"
    specs = [task(tmp_path, "paint", generate=how), task(tmp_path, "complete")]
    model = UnifiedVL(painter(tmp_path, specs))
    name, picture = Input("name", "text"), Input("picture", "image_codes")
    assert all_inputs(specs) == (picture, name)
    shown = answer(model, "paint", "en", {name: "red"}, 3)
    drawn_ones = model.predict("paint", "en", name="red", n=3).alternatives
    assert shown.picture is not None
    scale = shown.picture.width // (3 * SIDE + 2 * 4)
    assert shown.picture.size == ((3 * SIDE + 8) * scale, SIDE * scale)
    for number, one in enumerate(drawn_ones):
        left = number * (SIDE + 4) * scale
        found = shown.picture.crop((left, 0, left + SIDE * scale, SIDE * scale)).resize(
            (SIDE, SIDE), Image.Resampling.NEAREST
        )
        assert found.tobytes() == one.images[0].tobytes()
    holed = Image.new("RGBA", (SIDE, SIDE), "red")
    holed.paste((0, 0, 0, 0), (0, 0, 4, 4))
    holed.save(tmp_path / "holed.png")
    completed = answer(
        model, "complete", "en", {name: "red", picture: str(tmp_path / "holed.png")}, 1
    )
    assert "1 of them masked" in completed.html
    assert completed.picture is not None and completed.picture.size == (480, 480)
