from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from unified_vl.codecs.segments import Image, Segment, Tag, Text
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.errors import BadRow
from unified_vl.geometry import Box
from unified_vl.specs.task import TaskSpec

FIELDS = {
    "image": {"kind": "image", "column": "file"},
    "phrases": {"kind": "text", "column": "sentences", "many": True},
    "origin": {"kind": "language", "column": "from"},
    "region": {"kind": "box", "column": "bbox", "layout": "xywh", "units": "pixels"},
    "answer": {"kind": "text", "column": "answer"},
}
ROW = {
    "id": 7,
    "file": PILImage.new("RGB", (20, 10)),
    "sentences": ["a red cat", " the cat "],
    "from": "en",
    "bbox": [10, 0, 5, 5],
    "answer": "yes",
    "lang": "de",
    "cell": "seen",
}


def make_spec(**parts: Any) -> TaskSpec:
    source = parts.pop("source", "{task} {origin} {language} {image} {ask} “{phrases}”!")
    target = parts.pop("target", "{answer}")
    used = [name for name in FIELDS if f"{{{name}}}" in source + target]
    values: dict[str, Any] = {
        "task": "ground",
        "version": 1,
        "about": "Point to what a phrase says.",
        "data": {
            "reader": "jsonl",
            "path": "{split}.jsonl",
            "splits": {"train": "train"},
            "languages": ["en", "de"],
            "language_column": "lang",
            "key_column": "id",
        },
        "fields": {name: FIELDS[name] for name in used},
        "example": {
            "source": source,
            "target": target,
            "pick": {"phrases": "random"} if "phrases" in used else {},
        },
        "wording": {"ask": {"de": "Wo ist", "default": "In {language_name}:"}}
        if "{ask}" in source
        else {},
        "score": [{"metric": "accuracy", "against": "answer", "primary": True}],
    }
    return TaskSpec.model_validate({**values, **parts})


GROUND = {
    "target": "{region}",
    "generate": {"allow": "box"},
    "score": [{"metric": "box_accuracy", "against": "region", "primary": True}],
}


def build(
    spec: TaskSpec, changes: dict[str, Any] | None = None, *, seed: int | None = None, **how: bool
) -> Example:
    """The example of ROW with some columns changed; `...` takes a column away."""
    columns = {n: v for n, v in {**ROW, **(changes or {})}.items() if v is not ...}
    builder = ExampleBuilder(spec, ImageLoader(None, (4, 4)))
    return builder.build(Row(columns, "train.jsonl", 16, columns["lang"]), seed=seed, **how)


def said(segments: tuple[Segment, ...]) -> list[str]:
    """Segments in short: an image as its size, the rest as what they hold."""
    short = []
    for segment in segments:
        match segment:
            case Text(text) | Tag(text):
                short.append(text)
            case Image(image):
                short.append(f"{image.width}x{image.height}")
            case Box():
                short.append(f"{segment.x1} {segment.y1} {segment.x2} {segment.y2}")
    return short


def test_an_example_holds_what_the_templates_ask_for() -> None:
    example = build(make_spec(report_by=["language", "cell"]))
    assert said(example.source) == [
        "task:ground",
        "language:en",
        "language:de",
        "20x10",
        "Wo ist “a red cat”!",
    ]
    assert example.target == (Text("yes"),)
    assert example.references == {"answer": ("yes",)}
    assert example.groups == {"language": "de", "cell": "seen"}
    assert (example.task, example.language, example.key) == ("ground", "de", "7")
    assert (example.where, example.image_size) == ("train.jsonl:17", (20, 10))


def test_a_wording_without_the_language_falls_back_to_its_default() -> None:
    assert said(build(make_spec(), {"lang": "en"}).source)[-1] == "In English: “a red cat”!"


def test_a_box_is_relative_to_the_image_of_the_user() -> None:
    example = build(make_spec(source="{image} {phrases}", **GROUND))
    assert example.target == (Box(0.5, 0.0, 0.75, 0.5),)
    assert example.references == {"region": (Box(0.5, 0.0, 0.75, 0.5),)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{answer}", ["yes"]),
        ("  {answer}  ", ["yes"]),
        ("{answer}{answer}", ["yesyes"]),
        ("a {{ {answer} }} b", ["a { yes } b"]),
        ("{image}{answer}", ["20x10", "yes"]),
        ("a {image} {image} {answer} ", ["a", "20x10", "20x10", "yes"]),
        ("{answer} {language_name}", ["yes German"]),
        ("{language} {task} {answer}", ["language:de", "task:ground", "yes"]),
    ],
)
def test_texts_are_merged_and_stripped(source: str, expected: list[str]) -> None:
    assert said(build(make_spec(source=source)).source) == expected


def test_scoring_takes_the_first_and_sees_all() -> None:
    spec = make_spec(
        source="{image}",
        target="{phrases}",
        score=[{"metric": "chrf", "against": "phrases", "primary": True}],
    )
    example = build(spec, seed=None)
    assert example.target == (Text("a red cat"),)
    assert example.references == {"phrases": ("a red cat", "the cat")}


@given(st.integers(0, 2**63))
def test_what_is_picked_depends_on_the_seed_alone(seed: int) -> None:
    spec = make_spec(source="{phrases}")
    assert build(spec, seed=seed) == build(spec, seed=seed)


def test_every_value_is_picked_at_some_time() -> None:
    spec = make_spec(source="{phrases}")
    picked = {said(build(spec, seed=seed).source)[0] for seed in range(50)}
    assert picked == {"a red cat", "the cat"}


def test_pick_first_takes_the_first_for_any_seed() -> None:
    spec = make_spec(source="{phrases}")
    spec = TaskSpec.model_validate(
        {
            **spec.model_dump(),
            "example": {**spec.example.model_dump(), "pick": {"phrases": "first"}},
        }
    )
    assert {said(build(spec, seed=seed).source)[0] for seed in range(50)} == {"a red cat"}


def test_without_target_the_answer_need_not_be_there() -> None:
    example = build(
        make_spec(source="{image} {phrases}", **GROUND), {"bbox": ...}, with_target=False
    )
    assert said(example.source) == ["20x10", "a red cat"]
    assert (example.target, example.references) == ((), {})


def test_a_row_without_a_key_is_named_by_its_place() -> None:
    assert build(make_spec(), {"id": None}).key == "train.jsonl:17"


@pytest.mark.parametrize(
    ("value", "text"), [(7, "7"), (2.5, "2.5"), ("  a\n", "a"), ("no", "no"), ("nan", "nan")]
)
def test_numbers_are_texts(value: object, text: str) -> None:
    assert build(make_spec(), {"answer": value}).target == (Text(text),)


def test_cells_of_csv_hold_lists_as_json() -> None:
    spec = make_spec(source="{image} {phrases}", **GROUND)
    example = build(spec, {"sentences": '["a", "b"]', "bbox": "[10, 0, 5, 5]"})
    assert said(example.source) == ["20x10", "a"]
    assert example.target == (Box(0.5, 0.0, 0.75, 0.5),)


def test_many_boxes_are_many_segments() -> None:
    spec = make_spec(source="{image} {phrases}", **GROUND)
    values = spec.model_dump()
    values["fields"]["region"]["many"] = True
    example = build(TaskSpec.model_validate(values), {"bbox": [[10, 0, 5, 5], [0, 0, 20, 10]]})
    assert example.target == (Box(0.5, 0.0, 0.75, 0.5), Box(0.0, 0.0, 1.0, 1.0))


UNLISTED = (
    "the language {} is not among data.languages; expected a tag of it, "
    "or a name in data.language_names"
)
BAD = [
    ("answer", ..., "answer: is missing"),
    ("answer", None, "answer: is missing"),
    ("answer", "", "answer: is empty; expected text"),
    ("answer", " \n", "answer: is empty; expected text"),
    ("answer", True, "answer: found True; expected text"),
    ("answer", float("nan"), "answer: found nan; expected text"),
    ("answer", ["yes"], "answer: found ['yes']; expected text"),
    ("sentences", [], "sentences: is an empty list; expected at least one value"),
    ("sentences", "a", "sentences: found 'a'; expected a list, for many: true"),
    ("sentences", ["a", None], "sentences: found None; expected text"),
    ("sentences", ["a", ""], "sentences: is empty; expected text"),
    ("from", "fr", "from: " + UNLISTED.format("'fr'")),
    ("lang", "dee", f"lang: {UNLISTED.format(repr('dee'))}; did you mean 'de'?"),
    ("lang", None, "lang: " + UNLISTED.format(None)),
    ("file", "none.png", "file: there is no image 'none.png'"),
    ("file", None, "file: is missing"),
]
BAD_BOXES = [
    ([10, 0, 11, 5], "bbox: box [10, 0, 11, 5] (xywh) lies outside its image (20x10 pixels)"),
    ([-1, 0, 5, 5], "bbox: box [-1, 0, 5, 5] (xywh) lies outside its image (20x10 pixels)"),
    ([10, 0, 0, 5], "bbox: box [10, 0, 0, 5] (xywh) is empty"),
    ([10, 0, 5], "bbox: a box is four finite numbers, not [10, 0, 5]"),
    ([10, 0, 5, float("nan")], "bbox: found [10, 0, 5, nan]; expected a box of four numbers"),
    ("left", "bbox: found 'left'; expected a box of four numbers"),
    (7, "bbox: found 7; expected a box of four numbers"),
]


@pytest.mark.parametrize(("column", "value", "message"), BAD)
def test_a_bad_value_is_named_with_its_row(column: str, value: object, message: str) -> None:
    with pytest.raises(BadRow) as error:
        build(make_spec(), {column: value})
    assert str(error.value) == f"train.jsonl:17: {message}"


@pytest.mark.parametrize(("box", "message"), BAD_BOXES)
def test_a_bad_box_is_named_with_its_row(box: object, message: str) -> None:
    with pytest.raises(BadRow) as error:
        build(make_spec(source="{image} {phrases}", **GROUND), {"bbox": box})
    assert str(error.value) == f"train.jsonl:17: {message}"


def test_a_missing_column_is_told_apart_from_a_misspelt_one() -> None:
    with pytest.raises(BadRow, match=r"answer: is missing; did you mean 'anwser'\?"):
        build(make_spec(), {"answer": ..., "anwser": "yes"})


def test_a_file_of_an_image_is_read_below_the_root(tmp_path: Path) -> None:
    PILImage.new("RGB", (8, 6)).save(tmp_path / "a.png")
    builder = ExampleBuilder(make_spec(), ImageLoader(tmp_path, (4, 4)))
    row = Row({**ROW, "file": "a.png"}, "train.jsonl", 0, "de")
    assert builder.build(row, seed=None).image_size == (8, 6)
