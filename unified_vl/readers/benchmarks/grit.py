"""GRIT (Peng et al., arXiv 2306.14824, section 2): captions whose phrases have boxes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.json_text import json_objects
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

SHARD = 5  # digits of a key that name its folder, as img2dataset writes files
_OVERLAPPING = "boxes of phrases within longer ones, and further boxes of a phrase"


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    for line, row in json_objects(path):
        key = member(row, "key", str, path, f"line {line}")
        caption = member(row, "caption", str, path, f"line {line}")
        found = _phrases(row, caption, path, line)
        phrases = _apart(found)
        source.lose(_OVERLAPPING, len(found) - len(phrases))
        ends = [0, *(end for _, end, _ in phrases)]
        pieces = [caption[a:b].strip() for a, b in pairwise(ends)]
        rest = caption[ends[-1] :].strip()
        yield {
            "key": key,
            "image": f"{key[:SHARD]}/{key}.jpg",
            "caption": caption,
            "pieces": pieces,
            "boxes": [box for _, _, box in phrases],
            "rest": [rest] if rest else [],
        }


def _phrases(
    row: dict[str, Any], caption: str, path: Path, line: int
) -> list[tuple[int, int, list[float]]]:
    """First and last place in the caption, and the box, of all phrases, the surest first."""
    field = f"line {line}.ref_exps"
    found = []
    for number, phrase in enumerate(member(row, "ref_exps", list, path, f"line {line}")):
        numbers = isinstance(phrase, list) and all(isinstance(v, int | float) for v in phrase)
        if not numbers or len(phrase) != 7:
            raise UserError(
                f"found {str(phrase)[:60]!r}",
                file=path,
                field=f"{field}.{number}",
                expected="[start, end, x1, y1, x2, y2, score]",
            )
        start, end = int(phrase[0]), int(phrase[1])
        if not 0 <= start < end <= len(caption):
            raise UserError(
                f"the caption has no characters {start} to {end}",
                file=path,
                field=f"{field}.{number}",
            )
        found.append((-float(phrase[6]), start, end, [float(v) for v in phrase[2:6]]))
    return [(start, end, box) for _, start, end, box in sorted(found)]


def _apart(
    found: list[tuple[int, int, list[float]]],
) -> list[tuple[int, int, list[float]]]:
    """Those that do not overlap: the longest, as Kosmos-2 was trained, of these the surest."""
    kept: list[tuple[int, int, list[float]]] = []
    for start, end, box in sorted(found, key=lambda phrase: phrase[0] - phrase[1]):
        if all(end <= first or start >= last for first, last, _ in kept):
            kept.append((start, end, box))
    return sorted(kept)


GRIT = Reader(
    "grit",
    "GRIT's pairs of image and caption, whose phrases have boxes: JSON as img2dataset writes "
    "it beside each image, an object a line. Of phrases that overlap the longest is kept, and of "
    "several boxes of a phrase the surest; the others are counted.",
    rows=_rows,
    columns={
        "key": Column("text", "the image's key"),
        "image": Column("image", "its file: 00000/000000012.jpg for the key 000000012"),
        "caption": Column("text", "the caption, whole"),
        "pieces": Column("texts", "the caption up to the end of each phrase with a box"),
        "boxes": Column("boxes", "of each piece: [x1, y1, x2, y2] between 0 and 1"),
        "rest": Column("texts", "what follows the last of them: one text, or none"),
    },
)
