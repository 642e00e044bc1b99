"""The files of annotation tools: each says the same of the same pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.readers import annotation_files as tools
from unified_vl.authoring.checking.check import check_paths
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.geometry import Box, to_pixels
from unified_vl.readers.registry import READERS
from unified_vl.specs.load import load_task

SPEC = """\
task: things
version: 1
about: Find them.
data: {{reader: {reader}, path: "{path}", splits: {{train: train}}, languages: [en]{more}}}
fields:
  image: {{kind: image, column: image}}
  boxes: {{kind: box, column: boxes, many: true, layout: xyxy, units: {units}, labels: labels
    {empty}}}
  labels: {{kind: text, column: labels, many: true}}
example: {{source: "What is where? {{image}}", target: "{{boxes}}"}}
generate: {{allow: labelled_boxes, max_tokens: 60}}
score: [{{metric: coco_map, against: boxes, primary: true}}]
"""


def write(root: Path, reader: str, path: Path, *, empty: bool = True, more: str = "") -> Path:
    columns = READERS[reader].columns or {}
    units = "relative" if "between 0 and 1" in columns["boxes"].about else "pixels"
    text = SPEC.format(
        reader=reader,
        path=path.relative_to(root).as_posix(),
        units=units,
        empty=", empty: true" if empty else "",
        more=more,
    )
    return tools.write(root / "task.yaml", text)


def opened(root: Path, name: str, *, empty: bool = True) -> tuple[Path, Path]:
    make, reader, _, _ = tools.FORMATS[name]
    path = make(root)
    more = ""
    if READERS[reader].path == "file" and READERS[reader].images != "never":
        folder = path.parent / "images"
        folder = folder if folder.is_dir() else path.parent
        more = f', images: "{folder.relative_to(root).as_posix()}"'
    return write(root, reader, path, empty=empty, more=more), path


def said(root: Path, spec_path: Path) -> dict[str, Any]:
    """Names of images, and what is seen in each, in whole pixels."""
    spec = load_task(spec_path)
    builder = ExampleBuilder(spec, ImageLoader(root, (8, 8)))
    found = {}
    for row in TaskData(spec, "train", root):
        example = builder.build(row, seed=None)
        found[Path(row.columns["image"]).name] = [
            (box.label, tuple(round(v) for v in to_pixels(box, *(example.image_size or (1, 1)))))
            for box in example.target
            if isinstance(box, Box)
        ]
    return found


@pytest.mark.parametrize("name", tools.FORMATS)
def test_each_format_says_the_same_of_the_same_pictures(tmp_path: Path, name: str) -> None:
    spec, _ = opened(tmp_path, name)
    with_nothing = tools.FORMATS[name][3]
    expected = {image: v for image, v in tools.SCENES.items() if v or with_nothing}
    assert said(tmp_path, spec) == expected
    assert [str(f) for f in check_paths([spec], data=tmp_path).findings] == []


@pytest.mark.parametrize("name", [n for n, entry in tools.FORMATS.items() if entry[3]])
def test_images_without_objects_are_counted_where_they_are_no_rows(
    tmp_path: Path, name: str
) -> None:
    spec, _ = opened(tmp_path, name, empty=False)
    assert list(said(tmp_path, spec)) == ["a.png", "c.png"]
    (finding,) = check_paths([spec], data=tmp_path).findings
    assert "train leaves out 1 of 3 rows: they have no object, and no field has" in str(finding)


VOC = "voc/Annotations/a.xml"
ENTITY = '<!DOCTYPE annotation [<!ENTITY cat "cat">]>\n'
BAD: list[tuple[str, str, str, str, str]] = [
    # format, file, what of it, what in its place, and what is said
    ("pascal_voc", VOC, "<annotation>", f"{ENTITY}<annotation>", "a.xml:1: has a document type"),
    ("pascal_voc", VOC, "<xmin>4</xmin>", "<xmin>four</xmin>", "a.xml:6: <xmin> is 'four'; expe"),
    ("pascal_voc", VOC, "<name>cat</name>", "", "a.xml:4: <object> has no <name>"),
    ("pascal_voc", VOC, "<name>cat</name>", "<name> </name>", "a.xml:5: <name> is empty"),
    ("pascal_voc", VOC, "<xmin>4</xmin>", "<xmn>4</xmn>", "has no <xmin>; did you mean 'xmn'?"),
    ("pascal_voc", VOC, "</annotation>", "", "a.xml:13: is not XML: no element found"),
    ("pascal_voc", VOC, "annotation>", "annotations>", "a.xml:1: its root is <annotations>"),
    ("pascal_voc", VOC, "<filename>a.png</filename>", "", "a.xml: has no <filename>"),
    ("pascal_voc", VOC, "<xmax>20<", "<xmax>60<", "a.xml:1: boxes: box [4.0, 2.0, 60.0, 12.0]"),
    ("pascal_voc", "voc/ImageSets/Main/train.txt", "b\n", "z\n", "train.txt:2: there is no 'z.xml"),
    ("yolo", "yolo/labels/train/a.txt", "0 0.3", "7 0.3", "a.txt:1: there is no class 7; expected"),
    ("yolo", "yolo/labels/train/a.txt", "0 0.3", "cat 0.3", "a.txt:1: found 'cat 0.3"),
    ("yolo", "yolo/labels/train/a.txt", "1 0.5", "1 0.5 0.5", "a.txt:2: found 5 numbers behind"),
    ("yolo", "yolo/data.yaml", "train: images/train", "train: image", "train: there is no 'image'"),
    ("yolo", "yolo/data.yaml", "train: images", "val: images", "no split 'train'; expected one of"),
    ("yolo", "yolo/data.yaml", "names:", "nams:", "data.yaml: names: is missing; expected a list"),
    ("cvat", "cvat/annotations.xml", 'xtl="4"', 'xtl="x"', "xml:6: 'xtl' of <box> is 'x'; expect"),
    ("cvat", "cvat/annotations.xml", 'xtl="4" ', "", "xml:6: <box> has no attribute 'xtl'"),
    ("cvat", "cvat/annotations.xml", 'label="cat"', 'label="cta"', "6: 'cta' is no label of <meta"),
    (
        "cvat",
        "cvat/annotations.xml",
        "<image",
        "<track/>\n<image",
        "xml:5: has <track>: it is CVAT",
    ),
    ("cvat", "cvat/annotations.xml", "<annotations>", f"{ENTITY}<annotations>", "a document type"),
    ("labelme", "labelme/train/a.json", '"points"', '"point"', "shapes.0.points: is missing"),
    ("labelme", "labelme/train/a.json", "[4, 2]", "[4]", "a.json: shapes.0.points: found"),
    ("labelme", "labelme/train/a.json", "{", "", "a.json: is not JSON"),
    ("label_studio", "studio/project.json", '"x": 10.0', '"x": "l"', "result.0.value.x: found 'l'"),
    (
        "label_studio",
        "studio/project.json",
        '"annotations"',
        '"label"',
        "0: has no annotations; ex",
    ),
    (
        "createml",
        "createml/train/_annotations.createml.json",
        '"label"',
        '"lable"',
        "label: is mis",
    ),
    ("vott", "vott/things-export.json", '"tags": ["cat"]', '"tags": ["cta"]', "did you mean 'cat'"),
    ("vott", "vott/things-export.json", '"left": 4', '"left": "4"', "boundingBox.left: found '4'"),
    ("vott_csv", "vott/things-export.csv", '"a.png",4', '"a.png",x', "csv:2: xmin: found 'x'; ex"),
    ("vott_csv", "vott/things-export.csv", '"a.png",4,', '"a.png",', "csv:2: found 5 values; exp"),
    ("vott_csv", "vott/things-export.csv", '"xmin"', '"x_min"', "csv:1: has no column 'xmin'; did"),
    (
        "roboflow_csv",
        "rf/train/_annotations.csv",
        "dog",
        "",
        "csv:3: class: is empty; expected a c",
    ),
    (
        "roboflow_csv",
        "rf/train/_annotations.csv",
        "40,20,dog",
        "41,20,dog",
        "csv:3: 'a.png' has an",
    ),
    (
        "paligemma",
        "rf/dataset/_annotations.train.jsonl",
        "<loc0102>",
        "",
        "jsonl:1: suffix: found 3 tokens of places in a row, and a box has 4",
    ),
    (
        "florence",
        "rf/dataset/_annotations.train.jsonl",
        "<loc_500><loc_600>",
        "<loc_100><loc_600>",
        "jsonl:1: suffix: a box of the places [100, 100, 100, 600] is empty",
    ),
    (
        "florence",
        "rf/dataset/_annotations.train.jsonl",
        "cat",
        "",
        "jsonl:1: suffix: the box [250, 250, 750, 999] has no label, and others do",
    ),
]


@pytest.mark.parametrize(("name", "file", "old", "new", "says"), BAD)
def test_a_mistake_is_one_message_with_its_place(
    tmp_path: Path, name: str, file: str, old: str, new: str, says: str
) -> None:
    spec, _ = opened(tmp_path, name)
    text = (tmp_path / file).read_text()
    assert old in text
    times = -1 if old == "annotation>" else 1
    (tmp_path / file).write_text(text.replace(old, new, times))
    found = [str(f) for f in check_paths([spec], data=tmp_path).findings]
    assert found and says in found[0], found


def read(root: Path, reader: str, path: Path, more: str = "") -> list[dict[str, Any]]:
    task = load_task(write(root, reader, path, more=more))
    return [dict(row.columns) for row in TaskData(task, "train", root)]


def boxes_of(root: Path, reader: str, path: Path) -> tuple[list[Any], dict[str, int], str]:
    """The boxes of the first row, what is lost, and where the row is."""
    data = TaskData(load_task(write(root, reader, path)), "train", root)
    return data[0].columns["boxes"], data.lost, data[0].where


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 0.25 0.5 0.5 1", [0, 0, 0.5, 1]),
        ("1 0.1 0.2 0.5 0.2 0.3 0.9", [0.1, 0.2, 0.5, 0.9]),  # an outline
        ("1 0.1 0.2 0.5 0.2 0.5 0.9 0.1 0.9", [0.1, 0.2, 0.5, 0.9]),  # a turned box
    ],
)
def test_a_line_of_yolo_is_a_box_or_an_outline(tmp_path: Path, line: str, box: list[float]) -> None:
    path = tools.yolo(tmp_path)
    (tmp_path / "yolo/labels/train/a.txt").write_text(line)
    boxes, lost, where = boxes_of(tmp_path, "yolo", path)
    assert boxes == [pytest.approx(box)]
    assert (lost, where) == ({}, "yolo/labels/train/a.txt:1")


def test_keypoints_of_yolo_are_counted_and_outlines_kept(tmp_path: Path) -> None:
    path = tools.yolo(tmp_path)
    text = path.read_text()
    labels = tmp_path / "yolo/labels/train/a.txt"
    labels.write_text("1 0.1 0.2 0.5 0.2 0.3 0.9\n")
    spec = write(tmp_path, "yolo", path).read_text().replace("score:", "report_by: [key]\nscore:")
    spec = spec.replace(
        "  labels:",
        "  outlines: {kind: polygon, column: outlines, many: true, units: relative}\n  labels:",
    )
    spec = spec.replace("is where?", "is where? {outlines}")
    row = TaskData(load_task(tools.write(tmp_path / "task.yaml", spec)), "train", tmp_path)[0]
    assert row.columns["outlines"] == [pytest.approx([0.1, 0.2, 0.5, 0.2, 0.3, 0.9])]
    path.write_text(f"{text}kpt_shape: [1, 3]\n")
    labels.write_text("0 0.25 0.5 0.5 1 0.1 0.1 2\n")
    boxes, lost, _ = boxes_of(tmp_path, "yolo", path)
    assert boxes == [pytest.approx([0, 0, 0.5, 1])]
    assert lost == {"keypoints of objects": 1}


def test_what_is_no_box_is_counted_and_said(tmp_path: Path) -> None:
    path = tools.cvat(tmp_path)
    more = (
        '<polygon label="dog" points="1,2;11,2;11,9"/><points label="dog" points="1,1"/>'
        '<mask label="cat" rle="1" left="3" top="4" width="5" height="6"/>'
        '<box label="cat" xtl="10" ytl="5" xbr="20" ybr="15" rotation="90.0"/></image>'
    )
    path.write_text(path.read_text().replace("</image>", more, 1))
    images = f', images: "{path.parent.name}/images"'
    data = TaskData(load_task(write(tmp_path, "cvat", path, more=images)), "train", tmp_path)
    boxes = [[round(v, 6) for v in box] for box in data[0].columns["boxes"]]
    assert boxes[2:] == [[1, 2, 11, 9], [3, 4, 8, 10], [10, 5, 20, 15]]
    assert data.lost == {
        "CVAT annotations <points>": 1,
        "outlines of masks (their boxes are kept)": 1,
    }
    found = [str(f) for f in check_paths([tmp_path / "task.yaml"], data=tmp_path).findings]
    assert "lost in train: CVAT annotations <points> (1)" in found[0]


def test_shapes_of_labelme_have_boxes(tmp_path: Path) -> None:
    path = tools.labelme(tmp_path)
    shapes = [
        ("circle", [[10, 10], [13, 14]]),
        ("polygon", [[1, 2], [9, 2], [5, 8]]),
        ("mask", [[2, 3], [8, 9]]),
        ("point", [[2, 3]]),
    ]
    content = {
        "shapes": [{"label": "x", "shape_type": kind, "points": xy} for kind, xy in shapes],
        "imagePath": "..\\train\\a.png",
    }
    tools.write(tmp_path / "labelme/train/a.json", content)
    data = TaskData(load_task(write(tmp_path, "labelme", path)), "train", tmp_path)
    assert data[0].columns["image"] == "labelme/train/a.png"
    assert data[0].columns["boxes"] == [[5, 5, 15, 15], [1, 2, 9, 8], [2, 3, 8, 9]]
    assert data.lost["LabelMe shapes of type 'point'"] == 1
    assert data[0].where == "labelme/train/a.json:1"


def test_label_studio_names_images_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    path = tools.label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["dog"]}
    tasks[0]["annotations"][0]["result"] += [
        {"type": "ellipselabels", "value": value},
        {"type": "choices", "value": {"choices": ["day"]}},
        {
            "type": "polygonlabels",
            "value": {"points": [[0, 0], [50, 0], [0, 50]], "polygonlabels": ["cat"]},
        },
        {
            "type": "rectanglelabels",
            "original_width": 40,
            "original_height": 20,
            "value": {
                "x": 50,
                "y": 0,
                "width": 25,
                "height": 50,
                "rotation": 90,
                "rectanglelabels": ["cat"],
            },
        },
    ]
    tasks[0]["annotations"] += [tasks[0]["annotations"][0]]
    tasks[1]["annotations"] = [{"was_cancelled": True, "result": []}]
    tasks[2]["data"]["image"] = "/data/local-files/?d=images/c.png"
    path.write_text(json.dumps(tasks))
    data = TaskData(load_task(write(tmp_path, "label_studio", path)), "train", tmp_path)
    first = [[round(v, 6) for v in box] for box in data[0].columns["boxes"]]
    assert first[2:] == [[0.4, 0.3, 0.6, 0.7], [0, 0, 0.5, 0.5], [0.25, 0, 0.5, 0.5]]
    assert [row.columns["image"] for row in data] == ["a.png", "images/c.png"]
    assert data.left_out == {"are not annotated": 1}
    assert data.lost == {
        "further annotations of a task": 1,
        "Label Studio results of type 'choices'": 1,
    }


@pytest.mark.parametrize(
    ("suffix", "boxes"),
    [
        ("<loc0000><loc0000><loc1023><loc1023> cat", [("cat", [0, 0, 1, 1])]),
        ("<loc0000><loc0000><loc1023><loc1023><seg000><seg001> cat<eos>", [("cat", [0, 0, 1, 1])]),
        ("<loc_0><loc_0><loc_999><loc_999>", [("", [0.0005, 0.0005, 0.9995, 0.9995])]),
        (
            "cat<loc_0><loc_0><loc_499><loc_499><loc_0><loc_0><loc_999><loc_999>",
            [("cat", [0.0005, 0.0005, 0.4995, 0.4995]), ("cat", [0.0005, 0.0005, 0.9995, 0.9995])],
        ),
        ("<bin_0> <bin_0> <bin_999> <bin_999> dog", [("dog", [0, 0, 1, 1])]),
    ],
)
def test_tokens_of_other_models_are_boxes(
    tmp_path: Path, suffix: str, boxes: list[tuple[str, list[float]]]
) -> None:
    lines = [{"image": "a.png", "suffix": suffix}, {"image": "a.png", "suffix": "a caption"}]
    path = tools.write(tmp_path / "x.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    data = TaskData(load_task(write(tmp_path, "box_tokens", path)), "train", tmp_path)
    assert len(data) == 1
    columns = data[0].columns
    found = list(zip(columns["labels"], columns["boxes"], strict=True))
    assert found == [(label, pytest.approx(box)) for label, box in boxes]
    assert data.left_out == {"hold a text without box tokens": 1}


def test_pictures_with_several_splits_need_lists_or_folders(tmp_path: Path) -> None:
    path = tools.voc_beside(tmp_path)
    spec = write(tmp_path, "pascal_voc", path).read_text()
    spec = spec.replace("{train: train}", "{train: train, test: valid}")
    tools.write(tmp_path / "task.yaml", spec)
    with pytest.raises(UserError, match="has no ImageSets/Main to tell its splits apart; expected"):
        TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
    tools.write(tmp_path / "task.yaml", spec.replace('path: "set"', 'path: "set/{split}"'))
    assert len(TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)) == 3


def test_roboflow_classes(tmp_path: Path, read_all: Any) -> None:
    text = "filename, cat, black dog\na.png, 1, 0\nb.png, 0, 0\nc.png, 1, 1\n"
    assert read_all("roboflow_classes", path=text) == [
        {"key": "a.png", "image": "a.png", "labels": ["cat"], "said": "cat"},
        {"key": "b.png", "image": "b.png", "labels": [], "said": "none"},
        {
            "key": "c.png",
            "image": "c.png",
            "labels": ["cat", "black dog"],
            "said": "cat, black dog",
        },
    ]
    with pytest.raises(UserError, match="2: cat: found ' 2'; expected 0 or 1"):
        read_all("roboflow_classes", path=text.replace(" 1, 0", " 2, 0"))
