"""Files of annotation tools: which reader reads one, and what its first rows are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from unified_vl.authoring.drafting.columns import SPLITS
from unified_vl.authoring.drafting.files.samples import ROWS, Columns
from unified_vl.errors import UserError
from unified_vl.readers.annotation_tools.box_tokens import kind_of
from unified_vl.readers.annotation_tools.csv_boxes import SIDES
from unified_vl.readers.annotation_tools.pascal_voc import LISTS
from unified_vl.readers.annotation_tools.yolo import data_set
from unified_vl.readers.detections import Annotations
from unified_vl.readers.json_files import read_json
from unified_vl.readers.registry import detection_readers
from unified_vl.specs.tasks.data import SplitName

FOUND_ON_DISK = ("pascal_voc", "labelme", "yolo")  # which look for their images themselves
_ROOT = re.compile(r"<(annotations?)[\s>]")
_HEADS = {"vott_csv": {"image", "label", *SIDES}, "roboflow_csv": {"filename", "class", *SIDES}}
CLASSES = "_classes.csv"  # as Roboflow calls the classes of whole images
_PER_FILE = ("pascal_voc", "labelme")  # a file an image: their folder is what is read


def annotation_reader(path: Path) -> str | None:
    """The reader of a tool's file; None where it is no such file."""
    suffix = path.suffix.lower()
    if suffix not in (".xml", ".yaml", ".yml", ".json", ".csv", ".jsonl"):
        return None
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(1 << 14)
    except (UnicodeDecodeError, OSError):
        return None
    if suffix == ".xml":
        root = _ROOT.search(head)
        return None if root is None else {"annotation": "pascal_voc"}.get(root[1], "cvat")
    if suffix in (".yaml", ".yml"):
        named = re.search(r"^names:", head, re.M) and re.search(r"^(train|val|test):", head, re.M)
        return "yolo" if named else None
    if suffix == ".csv":
        names = {name.strip(' "') for name in head.split("\n", 1)[0].strip().split(",")}
        if path.name == CLASSES and "filename" in names:
            return "roboflow_classes"
        return next((reader for reader, needed in _HEADS.items() if needed <= names), None)
    first = head.split("\n", 1)[0]
    return _of_json(path, head) if suffix == ".json" else _of_line(first)


def _of_line(line: str) -> str | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    suffix = row.get("suffix") if isinstance(row, dict) and "image" in row else None
    return "box_tokens" if isinstance(suffix, str) and kind_of(suffix) else None


def _of_json(path: Path, head: str) -> str | None:
    """By its keys, which stand in its head or, of what is short, everywhere."""
    if not any(key in head for key in ('"shapes"', '"assets"', '"coordinates"', '"annotations"')):
        return None
    try:
        content = read_json(path)
    except UserError:
        return None
    if isinstance(content, dict):
        if {"shapes", "imagePath"} <= set(content):
            return "labelme"
        return "vott" if "assets" in content else None
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict) or "annotations" not in first:
        return None
    return "label_studio" if "data" in first else "createml" if "image" in first else None


def annotations_in(folder: Path, files: Sequence[Path]) -> tuple[str, Path] | None:
    """What of a folder a tool wrote, and its reader: a file, or the folder of many."""
    for suffixes in (".yaml", ".yml"), (".xml",), (".json",), (".csv",), (".jsonl",):
        named = [path for path in files if path.suffix.lower() in suffixes]
        for path in sorted(named, key=lambda p: ("train" not in str(p), len(p.parts), p))[:20]:
            reader = annotation_reader(path)
            if reader is not None:
                return reader, root_of(reader, path, folder)
    return None


def root_of(reader: str, path: Path, within: Path) -> Path:
    """The folder that a reader of many files reads, of one of them; else the file."""
    if reader not in _PER_FILE:
        return path
    lists = path.parent.parent.joinpath(*LISTS)
    listed = path.parent.name == "Annotations" and lists.is_dir()
    if reader == "pascal_voc" and listed and path.parent.parent.is_relative_to(within):
        return path.parent.parent
    return path.parent


def splits_of(reader: str, path: Path) -> dict[SplitName, str]:
    """What the files themselves call their splits; none where they do not."""
    known: list[str] = []
    if reader == "yolo":
        known = list(data_set(path).splits)
    elif reader == "pascal_voc" and path.joinpath(*LISTS).is_dir():
        known = [each.stem for each in path.joinpath(*LISTS).glob("*.txt")]
    return {split: word for split, words in SPLITS.items() for word in words if word in known}


def annotation_sample(reader: str, path: Path, root: Path, splits: dict[SplitName, str]) -> Columns:
    """The first rows of a tool's file or folder.

    Raises:
        UserError: when it cannot be read, or annotates no image.
    """
    own = splits_of(reader, path)
    split = next(iter(splits.values())) if own else None
    opened = Annotations(path, root, split)
    pictures = list(islice(detection_readers()[reader].pictures(opened), ROWS))
    if not any(picture.things for picture in pictures):
        raise UserError("annotates no object", file=path)
    boxes: list[Any] = [[list(t.box) for t in picture.things] for picture in pictures]
    return {
        "image": [picture.image for picture in pictures],
        "boxes": boxes,
        "labels": [[thing.label for thing in picture.things] for picture in pictures],
    }
