"""unified_vl/data/rows/values.py: what the columns of a row mean, kind by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from unified_vl.codecs.segments import Image, Text
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.errors import BadRow
from unified_vl.geometry import Box, Point, Polygon
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.kinds.hooks.options import letter
from unified_vl.specs.load import load_task

SPEC = """\
task: many_kinds
version: 1
about: All kinds of values.
data: {{reader: jsonl, path: "{{split}}.jsonl", splits: {{train: train}}, languages: [en, de],
  language_column: lang}}
fields:
  image: {{kind: image, column: image, many: true}}
  value: {field}
{more}
example: {{source: "{{image}}", target: "{{value}}"{pick}}}
generate: {{allow: {allow}, max_tokens: 20}}
score: [{{metric: {metric}, against: value, primary: true}}]
"""
IMAGES = [PILImage.new("RGB", (20, 10)), PILImage.new("RGB", (4, 4))]


def build(
    folder: Path,
    field: str,
    cell: Any,
    allow: str = "mixed",
    metric: str = "exact_match",
    more: str = "",
    pick: str = "",
    **columns: Any,
) -> Example:
    path = folder / "task.yaml"
    path.write_text(SPEC.format(field=field, allow=allow, metric=metric, more=more, pick=pick))
    (folder / "classes.txt").write_text("cat\ndog\n")
    for language, names in (("en", "cat\ndog\n"), ("de", "Katze\nHund\n")):
        (folder / f"classes.{language}.txt").write_text(names)
    row = Row({"image": IMAGES, "v": cell, "lang": "de", **columns}, "train.jsonl", 4, "de")
    loader = ImageLoader(folder, (8, 8))
    return ExampleBuilder(load_task(path), loader).build(row, seed=None)


@pytest.mark.parametrize(
    ("field", "cell", "text"),
    [
        ("{kind: number, column: v}", 3.0, "3"),
        ("{kind: number, column: v}", "7", "7"),
        ("{kind: number, column: v, decimals: 2}", 3.14159, "3.14"),
        ("{kind: number, column: v, decimals: 1}", -0.01, "0.0"),
        ("{kind: number, column: v}", -2, "-2"),
        ("{kind: label, column: v, names: {values: [cat, dog]}}", 1, "dog"),
        ("{kind: label, column: v, names: {values: [cat, dog]}}", "1", "dog"),
        ("{kind: label, column: v, names: {values: [cat, dog]}, first: 1}", 1, "cat"),
        ("{kind: label, column: v, names: {values: [cat, dog]}}", "dog", "dog"),
        ("{kind: label, column: v, names: {file: classes.txt}}", 0, "cat"),
        ('{kind: label, column: v, names: {file: "classes.{language}.txt"}}', 0, "Katze"),
    ],
)
def test_numbers_and_labels_are_written_as_text(
    tmp_path: Path, field: str, cell: Any, text: str
) -> None:
    example = build(tmp_path, field, cell)
    assert example.target == (Text(text),)
    assert example.references == {"value": (text,)}


@pytest.mark.parametrize(
    ("write", "cell", "first", "text"),
    [("letter", 1, 0, "B"), ("number", 1, 0, "2"), ("text", 1, 0, "a dog"), ("letter", 1, 1, "A")],
)
def test_a_choice_is_written_as_asked(
    tmp_path: Path, write: str, cell: int, first: int, text: str
) -> None:
    options = "  options: {kind: text, column: options, many: true}"
    field = f"{{kind: choice, column: v, of: options, write: {write}, first: {first}}}"
    spec = {"more": options, "options": ["a cat", "a dog", "a fox"]}
    assert build(tmp_path, field, cell, **spec).target == (Text(text),)


def test_all_images_are_read_in_order_and_shapes_are_measured_in_the_first(tmp_path: Path) -> None:
    field = "{kind: point, column: v, units: pixels}"
    example = build(tmp_path, field, [5, 5], allow="point", metric="point_accuracy")
    assert [type(segment) for segment in example.source] == [Image, Image]
    assert example.image_size == (20, 10)
    assert example.target == (Point(0.25, 0.5),)


@pytest.mark.parametrize("cell", [[0, 0, 10, 0, 10, 5], [[0, 0], [10, 0], [10, 5]]])
def test_a_polygon_is_numbers_or_pairs(tmp_path: Path, cell: Any) -> None:
    field = "{kind: polygon, column: v, units: pixels}"
    example = build(tmp_path, field, cell, allow="polygon", metric="mask_iou")
    assert example.target == (Polygon((0.0, 0.0, 0.5, 0.0, 0.5, 0.5)),)


def test_polygons_have_a_text_between_them(tmp_path: Path) -> None:
    field = "{kind: polygon, column: v, units: relative, many: true}"
    one = [0, 0, 1, 0, 1, 1]
    example = build(tmp_path, field, [one, one], allow="polygon", metric="mask_iou")
    polygon = Polygon(tuple(map(float, one)))
    assert example.target == (polygon, Text(";"), polygon)
    assert example.references == {"value": (polygon, polygon)}


def test_labelled_boxes_come_behind_their_labels(tmp_path: Path) -> None:
    field = "{kind: box, column: v, many: true, layout: xywh, units: pixels, labels: names}"
    example = build(
        tmp_path,
        field,
        [[0, 0, 10, 5], [10, 5, 10, 5]],
        allow="labelled_boxes",
        metric="coco_map",
        more="  names: {kind: text, column: names, many: true}",
        names=["قطة", "犬"],
    )
    boxes = (Box(0, 0, 0.5, 0.5, "قطة"), Box(0.5, 0.5, 1, 1, "犬"))
    assert example.target == (Text("قطة"), boxes[0], Text("犬"), boxes[1])
    assert example.references == {"value": boxes}


BAD = [
    ("{kind: number, column: v}", "three", "v: found 'three'; expected a number"),
    ("{kind: number, column: v}", float("inf"), "v: found inf; expected a number"),
    ("{kind: number, column: v}", True, "v: found True; expected a number"),
    (
        "{kind: label, column: v, names: {values: [cat, dog]}}",
        2,
        "v: found 2; expected 0 to 1, or a name of a class",
    ),
    (
        "{kind: label, column: v, names: {values: [cat, dog]}}",
        "dgo",
        "v: found 'dgo'; expected 0 to 1, or a name of a class; did you mean 'dog'?",
    ),
    ("{kind: point, column: v, units: pixels}", [1], "a point is two finite numbers, not [1]"),
    ("{kind: point, column: v, units: pixels}", [21, 1], "point [21, 1] lies outside its image"),
    ("{kind: point, column: v, units: pixels}", "x", "v: found 'x'; expected the numbers of a po"),
    ("{kind: polygon, column: v, units: pixels}", [1, 2, 3, 4], "a polygon is six or more finite"),
    ("{kind: polygon, column: v, units: relative}", [0] * 7, "an even count"),
]


@pytest.mark.parametrize(("field", "cell", "says"), BAD)
def test_a_value_of_another_kind_is_a_bad_row(
    tmp_path: Path, field: str, cell: Any, says: str
) -> None:
    metric = "exact_match"
    if "point" in field or "polygon" in field:
        metric = "point_accuracy" if "point" in field else "mask_iou"
    with pytest.raises(BadRow) as caught:
        build(tmp_path, field, cell, metric=metric)
    assert says in str(caught.value)
    assert str(caught.value).startswith("train.jsonl:5: v: ")


def test_labels_and_boxes_must_be_as_many(tmp_path: Path) -> None:
    field = "{kind: box, column: v, many: true, layout: xywh, units: pixels, labels: names}"
    more = "  names: {kind: text, column: names, many: true}"
    said = r"train.jsonl:5: names: holds 1 labels for 2 boxes"
    with pytest.raises(BadRow, match=said):
        boxes = [[0, 0, 10, 5], [10, 5, 10, 5]]
        build(tmp_path, field, boxes, metric="coco_map", more=more, names=["cat"])


def test_a_choice_that_there_is_none_of(tmp_path: Path) -> None:
    options = "  options: {kind: text, column: options, many: true}"
    field = "{kind: choice, column: v, of: options}"
    with pytest.raises(BadRow, match="v: found 2; expected a number from 0 to 1"):
        build(tmp_path, field, 2, more=options, options=["a", "b"])


def test_letters_go_on_behind_z() -> None:
    assert [letter(i) for i in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("[1, 2]", [1, 2]),
        (" [[1]]", [[1]]),
        ("[1", "[1"),
        ("5", "5"),
        ('{"a": 1}', '{"a": 1}'),
        ("[" * 2000, "[" * 2000),
        (None, None),
        ([1], [1]),
    ],
)
def test_a_cell_of_csv_may_hold_a_list(cell: object, value: object) -> None:
    assert unpacked(cell) == value
