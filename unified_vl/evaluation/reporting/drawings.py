"""What the report shows of tasks that write pictures: what was asked, drawn, and is true.

A prediction is a row of `predictions.jsonl`, as `evaluate` writes it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_vl.evaluation.languages import Language, language_of
from unified_vl.evaluation.reporting.gallery import Picture, load_picture

SHOWN = 24  # rows of a task; a third of them of each cell but the first
SEED = 0

Prediction = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One row.

    Attributes:
        language: of the row.
        asked: the texts that it was given, in `asked_in`.
        said: what it wrote beside the picture.
        readings: by task what was read first in what it drew.
        given: what it saw, or was to complete; None where there is none, as of the others.
        drawn: what it drew.
        true: what was right.
        cell: seen or held out, where that is known.
    """

    language: Language
    asked: tuple[str, ...]
    asked_in: Language
    said: str
    readings: tuple[tuple[str, str], ...]
    given: Picture | None
    drawn: Picture | None
    true: Picture | None
    cell: str


def drawings(
    predictions: Iterable[Prediction], run: Path, data_root: Path, most: int = SHOWN
) -> list[tuple[str, list[Drawing]]]:
    """By task rows whose answers are pictures: a fixed random choice, of every cell some.

    Args:
        predictions: all rows.
        run: the folder that drawn pictures are relative to.
        data_root: the folder that other pictures are relative to.
        most: rows of a task.
    """
    by_task: dict[str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        if row.get("images"):
            by_task[row["task"]].append(row)
    return [
        (task, [_drawing(row, run, data_root) for row in _choose(rows, most)])
        for task, rows in by_task.items()
    ]


def _choose(rows: Sequence[Prediction], most: int) -> list[Prediction]:
    """Rows follow a rhythm of languages, so none at equal distances; the seen cells first."""
    by_cell: dict[str, list[Prediction]] = defaultdict(list)
    for row in rows:
        by_cell[row.get("cell", "")].append(row)
    first, *others = sorted(by_cell, key=lambda cell: cell != "seen")
    draw = random.Random(SEED)
    rest = [_sample(by_cell[cell], most // 3, draw) for cell in others[:2]]
    left = most - sum(map(len, rest))
    return [*_sample(by_cell[first], left, draw), *(row for some in rest for row in some)]


def _sample(rows: Sequence[Prediction], most: int, draw: random.Random) -> list[Prediction]:
    places = draw.sample(range(len(rows)), min(most, len(rows)))
    return [rows[place] for place in sorted(places)]


def _readings(row: Prediction) -> tuple[tuple[str, str], ...]:
    """What each task reads first, where it says several things, of the fewest."""
    first: dict[str, tuple[int, str]] = {}
    for reading, texts in row.get("readings", {}).items():
        task = reading.partition("@")[0]
        first[task] = min(first.get(task, (len(texts), texts[0])), (len(texts), texts[0]))
    return tuple((task, text) for task, (_, text) in first.items())


def _drawing(row: Prediction, run: Path, data_root: Path) -> Drawing:
    (true, *_) = row["references"] or (None,)
    known = row.get("given")
    return Drawing(
        language=language_of(row["language"]),
        asked=tuple(row["inputs"].values()),
        asked_in=language_of(next(iter(row["input_languages"].values()), row["language"])),
        said=row["prediction"] or "",
        readings=_readings(row),
        given=load_picture(run, known) if known else load_picture(data_root, row["image"]),
        drawn=load_picture(run, row["images"][0]),
        true=load_picture(data_root, true if isinstance(true, str) else None),
        cell=row.get("cell", ""),
    )
