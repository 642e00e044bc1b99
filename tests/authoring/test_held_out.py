"""Drafts for data that nobody has split: rows are held out, so that a model can be scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.authoring.checking.check import check_paths
from unified_vl.authoring.drafting.draft import draft
from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

FEW, SOME = 5, 200
THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}


def rows(root: Path, name: str, count: int, **more: Any) -> Path:
    """JSON Lines of pictures and captions; `{n}` in more of their values is their number."""
    lines = []
    for number in range(count):
        if "image" not in more:
            Image.new("RGB", (9, 9), (number, 99, 0)).save(root / f"{number}.png")
        row: dict[str, Any] = {"image": f"{number}.png", "caption": f"a heron on roof {number}"}
        row |= {k: v.format(n=number) if isinstance(v, str) else v for k, v in more.items()}
        lines.append(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("".join(lines))
    return root / name


def images_with_texts(root: Path) -> Path:
    for number in range(SOME):
        (root / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (number, 99, 0)).save(root / f"photos/{number}.png")
        (root / f"photos/{number}.txt").write_text(f"a heron on roof {number}")
    return root / "photos"


def class_folders(root: Path, below: str = "pets") -> Path:
    for number in range(SOME):
        path = root / below / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 99, 0)).save(path)
    return root / below.split("/")[0]


NO_IMAGE = {"image": None, "question": "what is on roof {n}?"}
IN_TWO = {"image": None, "caption": None, "text_en": "roof {n}", "text_de": "Dach {n}"}
CASES = {
    "images by their path": (lambda r: rows(r, "a.jsonl", SOME), THREE, None),
    "images with texts beside": (images_with_texts, THREE, None),
    "folders of classes": (class_folders, THREE, None),
    "a train folder alone": (lambda r: class_folders(r, "pets/train"), THREE, None),
    "a train file alone": (lambda r: rows(r, "train.jsonl", SOME), THREE, None),
    "texts by their key": (lambda r: rows(r, "a.jsonl", SOME, **NO_IMAGE, id="k{n}"), THREE, None),
    "texts by what is read": (lambda r: rows(r, "a.jsonl", SOME, **NO_IMAGE), THREE, "question"),
    "a column a language, by a key": (
        lambda r: rows(r, "a.jsonl", SOME, **IN_TWO, id="k{n}", said="the {n}"),
        THREE,
        None,
    ),
    "few rows": (lambda r: rows(r, "a.jsonl", FEW), {"train": 0.5, "test": 0.5}, None),
}


def drafted(root: Path, given: Path) -> TaskSpec:
    (root / "spec.yaml").write_text(draft(given, root=root).text, encoding="utf-8")
    return load_task(root / "spec.yaml")


@pytest.mark.parametrize("make", [rows, lambda root, _, count: texts(root, count)])
@pytest.mark.parametrize(("count", "least"), [(8, 1), (20, 2), (40, 4), (60, 6), (150, 10)])
def test_of_few_rows_enough_are_held_out_to_be_scored_by(
    tmp_path: Path, make: Callable[..., Path], count: int, least: int
) -> None:
    spec = drafted(tmp_path, make(tmp_path, "a.jsonl", count))
    sizes = {split: len(TaskData(spec, split, tmp_path)) for split in spec.data.splits}
    assert sum(sizes.values()) == count
    assert min(sizes.values()) >= least
    assert sizes["train"] >= count // 3


def texts(root: Path, count: int) -> Path:
    return rows(root, "a.jsonl", count, **NO_IMAGE)


@pytest.mark.parametrize("case", CASES)
def test_rows_are_held_out_of_data_that_nobody_has_split(tmp_path: Path, case: str) -> None:
    make, shares, by = CASES[case]
    spec = drafted(tmp_path, make(tmp_path))
    assert (spec.data.shares, spec.data.splits_.by) == (shares, by)
    assert "{split}" not in f"{spec.data.path} {spec.data.images}"
    sizes = {split: len(TaskData(spec, split, tmp_path)) for split in spec.data.splits}
    assert min(sizes.values()) > 0
    assert sum(sizes.values()) == (FEW if case == "few rows" else SOME) * len(spec.data.languages)
    found = check_paths([tmp_path / "spec.yaml"], data=tmp_path).findings
    assert [str(each) for each in found if each.severity == "error"] == []


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ({"a.jsonl": 1}, {"train": "all"}),  # nothing to hold out
        ({"train.jsonl": 9, "dev.jsonl": 3}, {"train": "train", "validation": "dev"}),
        ({"test.jsonl": 9}, {"test": "test"}),
    ],
)
def test_splits_that_there_are_stay_as_they_are(
    tmp_path: Path, files: dict[str, int], splits: dict[str, str]
) -> None:
    given = [rows(tmp_path, name, count) for name, count in files.items()]
    spec = drafted(tmp_path, given[0])
    assert (spec.data.shares, spec.data.splits) == (None, splits)
