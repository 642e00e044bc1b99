from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.readers import annotation_files as tools
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.readers.annotation_tools.box_tokens import read_boxes


def convert(root: Path, name: str, to: str) -> tuple[str, str]:
    make, reader, _, _ = tools.FORMATS[name]
    path = make(root)
    images = next(root.rglob("a.png")).parent
    words = ["convert", "boxes", str(path), "--from", reader, "--to", to, "--images", str(images)]
    done = CliRunner().invoke(app, [*words, "--output", str(root / "out.json")])
    assert done.exit_code == 0, done.output
    return (root / "out.json").read_text(), done.output


@pytest.mark.parametrize("name", tools.FORMATS)
def test_boxes_of_each_tool_are_written_as_jsonl_and_coco(tmp_path: Path, name: str) -> None:
    text, said = convert(tmp_path / "a", name, "jsonl")
    rows = [json.loads(line) for line in text.splitlines()]
    found = {
        Path(row["image"]).name: [
            (label, tuple(round(v) for v in box))
            for label, box in zip(row["labels"], row["boxes"], strict=True)
        ]
        for row in rows
    }
    expected = {n: v for n, v in tools.SCENES.items() if v or tools.FORMATS[name][3]}
    assert found == expected
    assert f"wrote 3 boxes of {len(expected)} images ({len(expected) - 2} without any)" in said
    content = json.loads(convert(tmp_path / "b", name, "coco")[0])
    assert len(content["annotations"]) == 3
    assert [c["name"] for c in content["categories"]] == tools.CLASSES
    assert content["images"][0]["width"] == tools.WIDTH


@pytest.mark.parametrize(
    ("to", "starts"),
    [("paligemma", "<loc0"), ("florence", "cat<loc_"), ("ofa", "<bin_")],
)
def test_boxes_in_tokens_are_read_back_by_the_reader_of_such(
    tmp_path: Path, to: str, starts: str
) -> None:
    text, _ = convert(tmp_path, "coco" if "coco" in tools.FORMATS else "cvat", to)
    for row in map(json.loads, text.splitlines()):
        scene = tools.SCENES[Path(row["image"]).name]
        found = read_boxes(row["suffix"])
        assert [thing.label for thing in found] == [label for label, _ in scene]
        for thing, (_, box) in zip(found, scene, strict=True):
            sides = (tools.WIDTH, tools.HEIGHT) * 2
            near = [v * side for v, side in zip(thing.box, sides, strict=True)]
            assert near == pytest.approx(box, abs=tools.WIDTH / 999)
        if to == "paligemma" and scene:
            assert row["prefix"] == "detect " + " ; ".join(dict.fromkeys(one for one, _ in scene))
    assert any(starts in row for row in text.splitlines())


def test_a_box_without_extent_in_tokens_is_left_out_and_said(tmp_path: Path) -> None:
    path = tools.roboflow_coco(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [3.0001, 3, 0.0005, 5]
    path.write_text(json.dumps(content))
    words = ["convert", "boxes", str(path), "--from", "coco", "--to", "paligemma"]
    done = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "out.jsonl")])
    assert "1 boxes that paligemma cannot tell from a line" in done.output, done.output


def test_cocos_own_json_is_converted_too(tmp_path: Path) -> None:
    path = tools.roboflow_coco(tmp_path)
    content = json.loads(path.read_text())
    whole = content["annotations"][0]
    crowd = {**whole, "id": 98, "iscrowd": 1}
    beyond = {**whole, "id": 99, "bbox": [-5, 0, 10, 10]}
    outside = {**whole, "id": 97, "bbox": [-50, 0, 10, 10]}
    content["annotations"] += [crowd, beyond, outside]
    path.write_text(json.dumps(content))
    out = tmp_path / "out.json"
    words = ["convert", "boxes", str(path), "--from", "coco", "--output", str(out), "--to"]
    done = CliRunner().invoke(app, [*words, "jsonl"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = {
        row["image"]: [
            (label, tuple(round(v) for v in box))
            for label, box in zip(row["labels"], row["boxes"], strict=True)
        ]
        for row in rows
    }
    first, *_ = tools.SCENES
    label = next(c["name"] for c in content["categories"] if c["id"] == whole["category_id"])
    assert found == {**tools.SCENES, first: [*tools.SCENES[first], (label, (0, 0, 5, 10))]}
    for lost in ("1 crowds", "1 boxes that left their image", "1 objects without a part inside"):
        assert f"not in it, or changed: {lost}" in done.output
    again = CliRunner().invoke(app, [*words, "coco"])
    assert again.exit_code == 0, again.output
    assert len(json.loads(out.read_text())["annotations"]) == 4


def test_what_is_lost_is_said_and_mistakes_are_one_message(tmp_path: Path) -> None:
    path = tools.cvat(tmp_path)
    path.write_text(path.read_text().replace("</image>", '<points label="cat"/></image>', 1))
    words = ["convert", "boxes", str(path), "--output", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, [*words, "--from", "cvat"])
    assert "not in it, or changed: 1 CVAT annotations <points>" in done.output
    wrong = CliRunner().invoke(app, [*words, "--from", "cvta"])
    assert isinstance(wrong.exception, UserError)
    assert "did you mean 'cvat'?" in str(wrong.exception)
