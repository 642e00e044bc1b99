"""Visual Commonsense Reasoning (Zellers et al., arXiv 1811.10830; visualcommonsense.com).

A line of `train.jsonl` or `val.jsonl` is a question with four answers and four reasons for the
right one, as lists of words; a list among them, `[0, 2]`, names objects of the image. What they
are is in `objects`, and their boxes are in the file of `metadata_fn`, beside the image. In texts
an object is called as on the site: its name and its number from 1, `person1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.json_text import json_objects
from unified_vl.readers.columns import ROW_ID, STATED_SIZE, Column
from unified_vl.readers.json_files import member, read_json
from unified_vl.readers.reader import Reader, Rows
from unified_vl.readers.regions import cut_corners, numbers, size_of
from unified_vl.readers.source import Source

_Boxes = tuple[Sequence[Sequence[float] | None], tuple[float, float]]  # and width, height
_APOSTROPHE = re.compile(r" ?' ?(?=(?:s|t|re|ve|ll|d|m)\b)")
_BEFORE_MARKS = re.compile(r" (?=[.,?!:;](?: |$)|n't\b)")


class _Row:
    """A line of the file, and the objects that its texts name."""

    def __init__(self, row: Any, path: Path, line: int) -> None:
        self.row, self.path, self.line = row, path, line
        self.objects = [str(name) for name in self.get("objects", list)]
        self.named: dict[int, None] = {}  # in the order of the texts

    def get(self, key: str, kind: type) -> Any:
        return member(self.row, key, kind, self.path, line=self.line)

    def label(self, object_: int) -> str:
        return f"{self.objects[object_]}{object_ + 1}"

    def text(self, words: Any, field: str) -> str:
        """Words to a text, with the names of the objects."""
        if not isinstance(words, list):
            raise self.error(f"found {str(words)[:40]!r}", field, "a list of words")
        parts = []
        for word in words:
            if isinstance(word, str):
                parts.append(word)
                continue
            these = word if isinstance(word, list) else [word]
            if not all(isinstance(n, int) and 0 <= n < len(self.objects) for n in these):
                expected = f"[0] to [{len(self.objects) - 1}]"
                raise self.error(f"there is no object {str(word)[:40]}", field, expected)
            self.named |= dict.fromkeys(these)
            parts.append(" and ".join(self.label(number) for number in these))
        return _BEFORE_MARKS.sub("", _APOSTROPHE.sub("'", " ".join(parts)))

    def choices(self, kind: str) -> tuple[list[Any], int]:
        """The four answers or rationales, and the number of the right one."""
        choices = self.get(f"{kind}_choices", list)
        right = self.get(f"{kind}_label", int)
        if not 0 <= right < len(choices):
            expected = f"0 to {len(choices) - 1}, one of the choices"
            raise self.error(f"found {right}", f"{kind}_label", expected)
        return choices, right

    def error(self, message: str, field: str, expected: str | None = None) -> UserError:
        return UserError(message, file=self.path, line=self.line, field=field, expected=expected)


def _answers(row: _Row) -> dict[str, Any]:
    question = row.text(row.get("question", list), "question")
    choices, right = row.choices("answer")
    options = [row.text(words, "answer_choices") for words in choices]
    return {"question": question, "options": options, "correct": right}


def _rationales(row: _Row) -> dict[str, Any]:
    question = row.text(row.get("question", list), "question")
    answers, answer = row.choices("answer")
    said = row.text(answers[answer], "answer_choices")
    choices, right = row.choices("rationale")
    options = [row.text(words, "rationale_choices") for words in choices]
    return {"question": question, "answer": said, "options": options, "correct": right}


def _rows(texts: Callable[[_Row], dict[str, Any]]) -> Rows:
    """The rows of questions, whose texts are taken from a line by `texts`."""

    def rows(source: Source) -> Iterator[dict[str, Any]]:
        boxes_of = _boxes_below(source.image_root)
        for line, content in json_objects(source.path):
            row = _Row(content, source.path, line)
            found = {"key": row.get("annot_id", str), "image": row.get("img_fn", str), **texts(row)}
            if {"objects", "boxes", "width", "height"} & set(source.needed):
                found |= _named(row, boxes_of(row.get("metadata_fn", str)))
            yield found

    return rows


def _named(row: _Row, metadata: _Boxes) -> dict[str, Any]:
    """The objects that the texts name, with their boxes; all of them where they name none."""
    boxes, (width, height) = metadata
    if len(boxes) != len(row.objects):
        found = f"lists {len(row.objects)} objects, and its metadata {len(boxes)} boxes"
        raise row.error(found, "objects")
    places = [n for n in row.named or range(len(boxes)) if boxes[n] is not None]
    named = {"objects": [row.label(n) for n in places], "boxes": [boxes[n] for n in places]}
    return named | {"width": width, "height": height}


def _boxes_below(folder: Path) -> Callable[[str], _Boxes]:
    """The boxes of an image, `[x1, y1, x2, y2]` in pixels, and its size, by the name of its
    metadata."""

    @lru_cache(maxsize=1024)  # the questions about an image follow each other
    def boxes(name: str) -> _Boxes:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UserError(f"the metadata {name!r} leave the folder of the images", file=folder)
        if not path.is_file():
            raise UserError("does not exist; the boxes of an image lie beside it", file=path)
        content = read_json(path)
        size = size_of(content, path, "")
        listed = member(content, "boxes", list, path)
        # x1, y1, x2, y2 and how sure the detector was
        corners = [numbers(box, path, f"boxes.{n}", 5) for n, box in enumerate(listed)]
        return [cut_corners(box[:4], *size) for box in corners], size

    return boxes


OPTIONS = {
    "options": Column("texts", "the four options"),
    "correct": Column("whole", "the number of the right one, from 0"),
    "objects": Column(
        "texts", "the objects that the texts name, as they name them: person1; all for none"
    ),
    "boxes": Column("boxes", "[x1, y1, x2, y2] of each, in pixels"),
    **STATED_SIZE,
}
VCR_ANSWERS = Reader(
    "vcr_answers",
    "VCR's questions with four answers: a row a question. The boxes are read from the files "
    "beside the images.",
    rows=_rows(_answers),
    columns={
        "key": ROW_ID,
        "image": Column("image", "the image with its folder"),
        "question": Column("text", "the question"),
        **OPTIONS,
    },
    images="always",
)
VCR_RATIONALES = Reader(
    "vcr_rationales",
    "VCR's questions, each with its answer and four reasons for it: a row a question. The "
    "boxes are read from the files beside the images.",
    rows=_rows(_rationales),
    columns={
        "key": ROW_ID,
        "image": Column("image", "the image with its folder"),
        "question": Column("text", "the question"),
        "answer": Column("text", "its right answer"),
        **OPTIONS,
    },
    images="always",
)
