"""The files of annotation tools: drafted by `new`, then checked as they were drafted."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.readers import annotation_files as tools
from unified_vl.authoring.checking.check import check_paths
from unified_vl.authoring.drafting.draft import draft
from unified_vl.cli.main import app
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

MAKERS = {
    **{name: entry[:2] for name, entry in tools.FORMATS.items()},
    "roboflow_coco": (tools.roboflow_coco, "coco_instances"),
}


def rows_of(task: TaskSpec, root: Path) -> list[Row]:
    """The rows of all splits: those of a draft may be held out."""
    return [row for split in task.data.splits for row in TaskData(task, split, root)]


@pytest.mark.parametrize("whole", [False, True], ids=["its file", "its folder"])
@pytest.mark.parametrize("name", MAKERS)
def test_a_draft_of_a_tools_files_passes_check(tmp_path: Path, name: str, whole: bool) -> None:
    make, reader = MAKERS[name]
    path = make(tmp_path)
    given = path.parent if whole and path.is_file() else path
    spec = tmp_path / "out.yaml"
    words = ["new", "--from", str(given), "--output", str(spec), "--data", str(tmp_path)]
    drafted = CliRunner().invoke(app, words)
    assert drafted.exit_code == 0, drafted.output
    task = load_task(spec)
    assert task.data.reader == reader, spec.read_text()
    (box,) = (field for field in task.fields.values() if field.kind == "box")
    assert (box.many, box.labels) == (True, "labels")
    errors = [str(f) for f in check_paths([spec], data=tmp_path).findings if f.severity == "error"]
    assert errors == []
    if name in tools.FORMATS:
        with_nothing = tools.FORMATS[name][3]
        assert len(rows_of(task, tmp_path)) == (3 if with_nothing else 2)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("paligemma", "<loc0120><loc0340><loc0560><loc0780> cat"),
        ("florence", "cat<loc_340><loc_120><loc_780><loc_560>"),
        ("ofa", "cat<bin_340><bin_120><bin_780><bin_560>"),
    ],
)
def test_boxes_as_tokens_in_a_column_are_told(
    tmp_path: Path, suffix: str, kind: str, text: str
) -> None:
    tools.pictures(tmp_path)
    table = pa.table(
        {"image": list(tools.SCENES), "answer": [f"{text} {n[0]}" for n in tools.SCENES]}
    )
    path = tmp_path / f"a.{suffix}"
    separator = "\t" if suffix == "tsv" else ","
    if suffix == "parquet":
        pq.write_table(table, path)
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        rows = [separator.join(row.values()) for row in table.to_pylist()]
        path.write_text("\n".join([separator.join(table.column_names), *rows]) + "\n")
    assert f"column 'answer' holds boxes as tokens of {kind}" in draft(path).text


@pytest.mark.parametrize("given", ["rf/train/_classes.csv", "rf/train"])
def test_classes_of_whole_images_are_drafted(tmp_path: Path, given: str) -> None:
    tools.pictures(tmp_path / "rf/train")
    marks = ("1, 0", "1, 1", "0, 0")
    lines = ["filename, cat, dog", *(f"{n}, {m}" for n, m in zip(tools.SCENES, marks, strict=True))]
    tools.write(tmp_path / "rf/train/_classes.csv", "\n".join(lines) + "\n")
    spec = tmp_path / "out.yaml"
    words = ["new", "--from", str(tmp_path / given), "--output", str(spec)]
    drafted = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
    assert drafted.exit_code == 0, drafted.output
    task = load_task(spec)
    assert (task.data.reader, task.data.key_column) == ("roboflow_classes", "key")
    said = {row.columns["said"] for row in rows_of(task, tmp_path)}
    assert said == {"cat", "cat, dog", "none"}
    errors = [str(f) for f in check_paths([spec], data=tmp_path).findings if f.severity == "error"]
    assert errors == []


@pytest.mark.parametrize(
    ("names", "layout", "box"),
    [
        ("xmin,ymin,xmax,ymax", "xyxy", "5,6,30,18"),
        ("x_min,y_min,x_max,y_max", "xyxy", "5,6,30,18"),
        ("x,y,w,h", "xywh", "5,6,30,9"),
        ("x_center,y_center,width,height", "cxcywh", "15,10,20,10"),
    ],
)
def test_four_columns_make_a_box(tmp_path: Path, names: str, layout: str, box: str) -> None:
    tools.pictures(tmp_path / "pics")
    lines = [f"img,phrase,{names}", *(f"{n},the {n[0]} thing,{box}" for n in tools.SCENES)]
    tools.write(tmp_path / "boxes.csv", "\n".join(lines) + "\n")
    spec = tmp_path / "out.yaml"
    words = ["new", "--from", str(tmp_path / "boxes.csv"), "--output", str(spec)]
    words += ["--data", str(tmp_path)]
    drafted = CliRunner().invoke(app, words)
    assert drafted.exit_code == 0, drafted.output
    (field,) = (f for f in load_task(spec).fields.values() if f.kind == "box")
    assert (field.columns, field.layout) == (tuple(names.split(",")), layout)
    found = check_paths([spec], data=tmp_path).findings
    assert [str(f) for f in found if f.severity == "error"] == []
