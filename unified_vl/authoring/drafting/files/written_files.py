"""Files that this program wrote itself into a folder of data: answers and records of runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from unified_vl.run_record import CHECKPOINTS, EVENTS, MODEL

_ANSWERS = {"key", "prediction", "score"}  # of `predict` and `evaluate`
_RESULTS = {"image_id", "category_id", "bbox", "score"}  # COCO's format of results
_HEAD = 1 << 16  # bytes
_KINDS = (".jsonl", ".csv", ".parquet", ".json")
_MOST_READ = 500  # files, of a folder with one an image
_MADE = (  # what stands together in the folder of a run, a model, a tokenizer, an index
    (EVENTS, MODEL),
    (EVENTS, CHECKPOINTS),
    ("training.json", "model.safetensors"),
    *(("vocabulary.json", name) for name in ("text.model", "tokenizer.json", "bytes.json")),
    ("index.json", "features.safetensors"),
)


def without_written(files: Iterable[Path], within: Path) -> list[Path]:
    """The files that are no answers and no parts of runs and models: data to learn from.

    Args:
        files: those of a folder.
        within: the folder; what is above it does not count.
    """
    read = count(1)

    @cache
    def is_left(folder: Path) -> bool:
        if not folder.is_relative_to(within):
            return True
        written = any(all((folder / name).exists() for name in names) for names in _MADE)
        pictures = folder.suffix == ".images" and any(map(_holds_answers, _named_as(folder)))
        return not written and not pictures and is_left(folder.parent)

    def is_answer(path: Path) -> bool:
        read_it = path.suffix.lower() in _KINDS and next(read) <= _MOST_READ
        return read_it and _holds_answers(path)

    return [path for path in files if is_left(path.parent) and not is_answer(path)]


def _named_as(folder: Path) -> list[Path]:
    """The files of answers that may have put their pictures into a folder."""
    return [folder.with_suffix(suffix) for suffix in (".jsonl", ".csv", ".parquet")]


def _holds_answers(path: Path) -> bool:
    try:
        return _names(path) >= (_RESULTS if path.suffix == ".json" else _ANSWERS)
    except (OSError, ValueError, RecursionError, csv.Error):  # Arrow's errors are among these
        return False


def _names(path: Path) -> set[str]:
    """What the first row of a file names."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return set(pq.read_schema(path).names)
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", "replace")
    if suffix == ".csv":
        return set(next(csv.reader(head.splitlines()), []))
    if suffix == ".json":
        start = head.lstrip().removeprefix("[").lstrip()
        return _keys(json.JSONDecoder().raw_decode(start)[0]) if head[:1] == "[" else set()
    return _keys(json.loads(head.partition("\n")[0]))


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()
