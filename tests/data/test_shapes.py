"""unified_vl/data/shapes.py: what fields say of shapes, and what `check` says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags
from PIL import Image as PILImage

from tests.batches import collate
from unified_vl.authoring.checking.check import check_paths
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import EOS_ID, Vocabulary, standard_tags
from unified_vl.data.batching import IGNORED
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.geometry import Box, coordinates
from unified_vl.specs.load import load_task

SPEC = """\
task: things
version: 1
about: Find them.
data: {{reader: jsonl, path: rows.jsonl, splits: {{train: all}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
  things: {{kind: {field}}}
{names}example: {{source: "What is where? {{image}}", target: "{{things}}"}}
generate: {{allow: {allow}, max_tokens: 60}}
score: [{{metric: {metric}, against: things, primary: true}}]
"""
NAMES = "  names: {kind: text, column: names, many: true}\n"
METRICS = {
    "box": "box_accuracy",
    "labelled_boxes": "coco_map",
    "point": "point_accuracy",
    "polygon": "mask_iou",
}


def shaded(size: tuple[int, int]) -> PILImage.Image:
    return PILImage.linear_gradient("L").resize(size).convert("RGB")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A picture of 40 x 20 pixels, and one that EXIF turns: stored 40 x 20, seen 20 x 40."""
    shaded((40, 20)).save(tmp_path / "plain.png")
    exif = PILImage.Exif()
    exif[ExifTags.Base.Orientation] = 6
    shaded((40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    return tmp_path


def write(root: Path, field: str, **row: Any) -> Path:
    kind = field.partition(",")[0]
    allow = "labelled_boxes" if "labels:" in field else kind
    text = SPEC.format(
        field=field,
        allow=allow,
        metric=METRICS[allow],
        names=NAMES if "labels:" in field else "",
    )
    (root / "task.yaml").write_text(text)
    row = {"image": "plain.png", "names": ["cat"]} | row
    (root / "rows.jsonl").write_text(json.dumps(row) + "\n")
    return root / "task.yaml"


def target(root: Path, field: str, **row: Any) -> list[list[float]]:
    spec = load_task(write(root, field, **row))
    builder = ExampleBuilder(spec, ImageLoader(root, (8, 8)))
    example = builder.build(TaskData(spec, "train", root)[0], seed=None)
    assert example.references["things"] == tuple(s for s in example.target if isinstance(s, Box))
    return [[round(v, 4) for v in coordinates(s)] for s in example.target if isinstance(s, Box)]


FOUR = "columns: [xmin, ymin, xmax, ymax], layout: xyxy"
SIDES = {"w": 80, "h": 40}


@pytest.mark.parametrize(
    ("field", "row", "box"),
    [
        ("column: v, layout: cxcywh, units: pixels", {"v": [10, 10, 20, 10]}, [0, 0.25, 0.5, 0.75]),
        ("column: v, layout: cxcywh, units: relative", {"v": [0.5, 0.5, 1, 1]}, [0, 0, 1, 1]),
        (
            f"{FOUR}, units: pixels",
            {"xmin": 10, "ymin": 5, "xmax": 20, "ymax": 15},
            [0.25, 0.25, 0.5, 0.75],
        ),
        (
            f"{FOUR}, units: relative",
            {"xmin": "0.1", "ymin": "0.2", "xmax": "0.3", "ymax": "0.4"},
            [0.1, 0.2, 0.3, 0.4],
        ),
        ("column: v, layout: xyxy, units: pixels", {"v": [0, 0, 40.9, 10]}, [0, 0, 1, 0.5]),
        (
            "column: v, layout: xyxy, units: pixels, clip: true",
            {"v": [-9, 0, 60, 10]},
            [0, 0, 1, 0.5],
        ),
        (
            "column: v, layout: xyxy, units: pixels, size: [w, h]",
            {"v": [0, 0, 40, 10], **SIDES},
            [0, 0, 0.5, 0.25],
        ),
        # of the stored pixels the left edge, which EXIF's 6 turns to the top
        (
            "column: v, layout: xyxy, units: pixels, orientation: stored",
            {"v": [0, 0, 10, 20], "image": "turned.jpg"},
            [0, 0, 1, 0.25],
        ),
        (
            "column: v, layout: xyxy, units: relative, orientation: stored",
            {"v": [0, 0, 0.25, 0.5], "image": "turned.jpg"},
            [0.5, 0, 1, 0.25],
        ),
        (
            "column: v, layout: xyxy, units: pixels, orientation: upright",
            {"v": [0, 0, 10, 40], "image": "turned.jpg"},
            [0, 0, 0.5, 1],
        ),
    ],
)
def test_a_box_is_what_its_field_says(
    root: Path, field: str, row: dict[str, Any], box: list[float]
) -> None:
    assert target(root, f"box, {field}", **row) == [box]


PIXELS = "column: v, layout: xyxy, units: pixels"


@pytest.mark.parametrize(
    ("field", "row", "says"),
    [
        (f"box, {PIXELS}", {"v": [0, 0, 39, 19]}, []),
        (
            f"box, {PIXELS}",
            {"v": [0, 0, 40.9, 10]},
            ["warning: rows.jsonl:1: fields.things: box: less than a pixel was cut off"],
        ),
        (
            f"box, {PIXELS}, clip: true",
            {"v": [0, 0, 49, 10]},
            ["warning: rows.jsonl:1: fields.things: box: a pixel or more, by clip: true, was cut"],
        ),
        (
            f"box, {PIXELS}",
            {"v": [0, 0, 49, 10]},
            ["error: rows.jsonl:1: v: box [0, 0, 49, 10] (xyxy) lies outside its image (40x20"],
        ),
        (
            "polygon, column: v, units: pixels",
            {"v": [0, 0, 42, 0, 5, 5]},
            ["error: rows.jsonl:1: v: polygon [0, 0, 42, 0, 5, 5] lies outside its image"],
        ),
        (
            "polygon, column: v, units: pixels",
            {"v": [0, 0, 40.5, 0, 5, 5]},
            ["warning: rows.jsonl:1: fields.things: polygon: less than a pixel was cut off"],
        ),
        (
            f"box, {PIXELS}",
            {"v": [0, 0, 20, 19], "image": "turned.jpg"},
            ["EXIF turns the image, and the field does not say orientation; remedy: orientation:"],
        ),
        (f"box, {PIXELS}, orientation: upright", {"v": [0, 0, 19, 9], "image": "turned.jpg"}, []),
        (
            f"box, {PIXELS}",
            {"v": [0, 0, 39, 19], "image": "turned.jpg"},
            [
                "lies outside its image (20x40 pixels), and inside the pixels as stored, before "
                "EXIF (40x20); expected orientation: stored of the field",
                "EXIF turns the image, and the field does not say orientation",
            ],
        ),
        (
            f"box, {PIXELS}, orientation: stored",
            {"v": [0, 0, 19, 39], "image": "turned.jpg"},
            [
                "lies outside its image (40x20 pixels), and inside the image as EXIF turns it "
                "(20x40); expected no orientation: stored of the field"
            ],
        ),
        (
            "point, column: v, units: pixels",
            {"v": [39, 19], "image": "turned.jpg"},
            ["inside the pixels as stored, before EXIF (40x20)", "does not say orientation"],
        ),
        (
            f"box, {PIXELS}, size: [w, h]",
            {"v": [0, 0, 9, 9], "w": 80, "h": 80},
            ["warning: rows.jsonl:1: fields.things: the sides of the image are not in the prop"],
        ),
        (
            f"box, {PIXELS}, size: [w, h]",
            {"v": [0, 0, 9, 9], "w": 0, "h": 80},
            ["error: rows.jsonl:1: v: found [0, 80] in 'w' and 'h'; expected width and height of"],
        ),
        (
            f"box, {FOUR}, units: pixels",
            {"xmin": "a", "ymin": "5", "xmax": "20", "ymax": "15"},
            ["error: rows.jsonl:1: xmin, ymin, xmax, ymax: found ['a', '5', '20', '15']; expected"],
        ),
        (
            f"box, {FOUR}, units: pixels",
            {"xmin": 1, "ymin": 5, "xmax": 20, "y_max": 15},
            ["rows.jsonl' has no column 'ymax'; did you mean 'y_max'?"],
        ),
        (
            f"box, {PIXELS}, many: true",
            {"v": []},
            ["error: rows.jsonl:1: v: is an empty list; expected at least one value, or empty: tr"],
        ),
        (f"box, {PIXELS}, many: true, empty: true", {"v": []}, []),
        (f"box, {PIXELS}, many: true, empty: true, labels: names", {"v": [], "names": []}, []),
        (
            f"box, {PIXELS}, many: true, empty: true, labels: names",
            {"v": []},
            ["error: rows.jsonl:1: names: holds 1 labels for 0 boxes"],
        ),
    ],
)
def test_check_says_what_is_wrong_with_shapes_or_may_be(
    root: Path, field: str, row: dict[str, Any], says: list[str]
) -> None:
    path = write(root, field, **row)
    found = [str(finding) for finding in check_paths([path], data=root).findings]
    assert len(found) == len(says), found
    for text, said in zip(found, says, strict=True):
        assert said in text


@pytest.mark.parametrize("kind", ["box", "point", "polygon"])
def test_an_image_without_shapes_is_in_a_batch_with_others(
    root: Path, kind: str, words: TextCodec
) -> None:
    layout = ", layout: xyxy" if kind == "box" else ""
    shape = {"box": [1, 2, 9, 8], "point": [3, 4], "polygon": [1, 1, 9, 1, 9, 9]}[kind]
    spec = load_task(
        write(root, f"{kind}, column: v{layout}, units: pixels, many: true, empty: true")
    )
    rows = [{"image": "plain.png", "v": v} for v in ([shape], [], [shape, shape])]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    vocabulary = Vocabulary(len(words), standard_tags(["en"], ["things"]))
    codec = SequenceCodec(vocabulary, words, image_tokens=4, image_size=(8, 8))
    data = TaskData(spec, "train", root)
    builder = ExampleBuilder(spec, ImageLoader(root, (8, 8)))
    batch = collate([builder.build(row, seed=0) for row in data.rows(range(3))], codec)
    assert batch.labels_BT is not None
    written = [[i for i in row if i != IGNORED] for row in batch.labels_BT.tolist()]
    assert written[1] == [EOS_ID]  # nothing to write but the end
    assert [row[-1] for row in written] == [EOS_ID] * 3
    asked = [builder.build(row, seed=None, with_target=False) for row in data.rows(range(3))]
    assert collate(asked, codec).labels_BT is None


@pytest.mark.parametrize(("name", "size"), [("small.png", (20, 10)), ("turned.jpg", (20, 40))])
def test_check_compares_the_size_that_annotations_state(
    root: Path, name: str, size: tuple[int, int]
) -> None:
    if name == "small.png":
        shaded(size).save(root / name)
    path = write(root, f"box, {PIXELS}, many: true, labels: names")
    text = path.read_text().replace(
        "reader: jsonl, path: rows.jsonl", "reader: coco_instances, path: x.json"
    )
    path.write_text(
        text.replace("column: v", "column: boxes")
        .replace("xyxy", "xywh")
        .replace("column: names", "column: labels")
    )
    thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 8, 8]}
    content = {
        "images": [{"id": 1, "file_name": name, "width": 40, "height": 20}],
        "annotations": [thing],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (root / "x.json").write_text(json.dumps(content))
    found = [str(finding) for finding in check_paths([path], data=root).findings]
    if name == "turned.jpg":
        assert "the annotations state the size of the image before EXIF turns it" in found[1]
        return
    (warning,) = found
    assert "x.json:1: fields.things: the annotations state another size of the image" in warning
    assert "remedy: size: [width, height] of the field scales" in warning
    path.write_text(
        path.read_text().replace("units: pixels", "units: pixels, size: [width, height]")
    )
    assert check_paths([path], data=root).findings == ()
    spec = load_task(path)
    builder = ExampleBuilder(spec, ImageLoader(root, (8, 8)))
    example = builder.build(TaskData(spec, "train", root)[0], seed=None)
    assert example.references["things"] == (Box(0, 0, 0.2, 0.4, "cat"),)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("box, columns: [a, b, c], layout: xyxy, units: pixels", "3 columns; expected 4 of a box"),
        ("point, columns: [a, b, c, d], units: pixels", "4 columns; expected 2 of a point"),
        ("box, columns: [a, b, c, a], layout: xyxy, units: pixels", "'a' is listed 2 times"),
        (f"box, {FOUR}, units: pixels, column: v", "found 'column' and 'columns'"),
        (f"box, {FOUR}, units: pixels, many: true", "many: a row has one"),
        ("polygon, columns: [a, b], units: pixels", "has no effect with a field of kind 'polygon'"),
        ("box, layout: xyxy, units: pixels", "things.column: is missing"),
        (f"box, {PIXELS}, empty: true", "empty: one value is never none; expected many: true"),
        (
            "box, column: v, layout: xyxy, units: relative, size: [w, h]",
            "size: says nothing of fractions; expected units: pixels",
        ),
        (f"box, {PIXELS}, orientation: turned", "expected 'upright' or 'stored'"),
        (f"box, {PIXELS}, size: [w]", "things.size"),
    ],
)
def test_keys_that_say_nothing_are_refused(root: Path, field: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load_task(write(root, field))
    messages = [str(e) for e in getattr(error.value, "all", ()) or (error.value,)]
    assert any(says in m for m in messages), messages
