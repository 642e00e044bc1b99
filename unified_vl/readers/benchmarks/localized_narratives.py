"""Localized Narratives (Pont-Tuset et al., arXiv 1912.03098).

google.github.io/localized-narratives has JSONL files for images of four collections. A line is
what a person said of an image, the words with their times, and where the mouse was meanwhile:
`traces`, lists of `{x, y, t}` relative to the image, which they may leave.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unified_vl.json_text import json_objects
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

SMALLEST = 0.01  # of a box, in widths or heights of the image: a mouse may stand still
COCO = "mscoco"

Place = tuple[float, float, float]
"""When, in seconds, and x and y between 0 and 1."""


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    traced = {"words", "points", "boxes"} & set(source.needed)
    for line, row in json_objects(path):
        image = member(row, "image_id", str, path, line=line)
        collection = member(row, "dataset_id", str, path, line=line)
        annotator = member(row, "annotator_id", int, path, line=line)
        found = {
            "key": f"{image}_{annotator}_{line}",
            # COCO's ids lack the zeros of its file names
            "image": f"{image.zfill(12) if collection.startswith(COCO) else image}.jpg",
            "caption": member(row, "caption", str, path, line=line),
            "collection": collection,
        }
        if traced:
            found |= _traced(row, path, line)
        yield found


def _traced(row: Any, path: Path, line: int) -> dict[str, Any]:
    """Each stretch of words, and where the mouse was; empty where nothing was traced."""
    places = sorted(_places(row, path, line))
    times = [place[0] for place in places]
    words, points, boxes = [], [], []
    for number, stretch in enumerate(member(row, "timed_caption", list, path, line=line)):
        where = f"timed_caption.{number}"
        text = member(stretch, "utterance", str, path, where, line=line).strip()
        start = member(stretch, "start_time", float, path, where, line=line)
        end = member(stretch, "end_time", float, path, where, line=line)
        if not text or not places:
            continue
        first, last = bisect_left(times, start), bisect_left(times, end)
        near = places[first:last] or [places[min(first, len(places) - 1)]]
        words.append(text)
        points.append([sum(place[side] for place in near) / len(near) for side in (1, 2)])
        boxes.append(_around(near))
    return {"words": words, "points": points, "boxes": boxes}


def _places(row: Any, path: Path, line: int) -> Iterator[Place]:
    """All places of the mouse, those beyond the image at its edge."""
    for number, trace in enumerate(member(row, "traces", list, path, line=line)):
        for place in trace if isinstance(trace, list) else [trace]:
            where = f"traces.{number}"
            t, x, y = (float(member(place, k, float, path, where, line=line)) for k in "txy")
            yield t, min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)


def _around(places: Sequence[Place]) -> list[float]:
    """The box `[x1, y1, x2, y2]` around places."""
    low, high = [], []
    for side in (1, 2):
        values = [place[side] for place in places]
        start = min(min(values), 1.0 - SMALLEST)
        low.append(start)
        high.append(max(max(values), start + SMALLEST))
    return [*low, *high]


LOCALIZED_NARRATIVES = Reader(
    "localized_narratives",
    "Localized Narratives: a row what a person said of an image, with the trace of the mouse.",
    rows=_rows,
    columns={
        "key": Column("text", "the image's id, the annotator and the line"),
        "image": Column("image", "its file name: the id, as COCO writes it for COCO, and .jpg"),
        "caption": Column("text", "what was said"),
        "collection": Column("text", "where the image is from: mscoco_val2017"),
        "words": Column("texts", "stretches of a word or a few, as they were said"),
        "points": Column("boxes", "[x, y], the mean place of the mouse in each, relative"),
        "boxes": Column("boxes", "[x1, y1, x2, y2] around the mouse in each, relative"),
    },
)
