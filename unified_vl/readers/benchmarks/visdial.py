"""Visual Dialog 1.0 (Das et al., arXiv 1611.08669; visualdialog.org/data).

A file has all questions and all answers once, and dialogues of ten rounds that name them by
number: the question, a hundred options for its answer, and which of these people gave. How fitting
several people find each option of one round is in a file beside it, of the val split and of a
part of the train split: `visdial_1.0_val_dense_annotations.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.readers.columns import Column
from unified_vl.readers.json_files import member, read_json, texts
from unified_vl.readers.reader import Reader
from unified_vl.readers.regions import numbers
from unified_vl.readers.source import Source

COCO_FOLDERS = ("train2014", "val2014")  # those that the images of training are of


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path = source.path
    content = read_json(path)
    data = member(content, "data", dict, path)
    said = {key: texts(data, key, path, "data") for key in ("questions", "answers")}
    name = _images(member(content, "split", str, path), source.image_root)
    relevances = _relevances(path) if "relevance" in source.needed else {}
    for number, dialog in enumerate(member(data, "dialogs", list, path, "data")):
        where = f"data.dialogs.{number}"
        image = member(dialog, "image_id", int, path, where)
        questions: list[str] = []
        before = [member(dialog, "caption", str, path, where)]
        for place, turn in enumerate(member(dialog, "dialog", list, path, where)):
            row = _Turn(turn, said, path, f"{where}.dialog.{place}")
            questions.append(row.text("questions", row.number("question"), "question"))
            options = row.options()
            correct = row.number("gt_index")
            if not 0 <= correct < len(options):
                raise row.error(f"found {correct}", "gt_index", f"0 to {len(options) - 1}")
            yield {
                "key": f"{image}_{place + 1}",
                "image": name(image),
                "caption": before[0],
                "question": questions[-1],
                "questions": list(questions),
                "before": list(before),
                "answer": options[correct],
                "options": options,
                "correct": correct,
                "round": str(place + 1),
                "relevance": relevances.get((image, place + 1)),
            }
            before.append(options[correct])


def _relevances(path: Path) -> dict[tuple[int, int], list[float]]:
    """How fitting each option is, by image and round (from 1); nothing without the file."""
    dense = path.with_name(f"{path.stem}_dense_annotations.json")
    if not dense.is_file():
        return {}
    found = {}
    content = read_json(dense)
    if not isinstance(content, list):
        raise UserError("found an object", file=dense, expected="a list of rounds")
    for number, entry in enumerate(content):
        of_val = isinstance(entry, dict) and "gt_relevance" in entry
        key = "gt_relevance" if of_val else "relevance"  # in train
        listed = member(entry, key, list, dense, str(number))
        values = numbers(listed, dense, f"{number}.{key}", len(listed))
        image = member(entry, "image_id", int, dense, str(number))
        found[image, member(entry, "round_id", int, dense, str(number))] = values
    return found


class _Turn:
    """A round of a dialogue."""

    def __init__(self, turn: Any, said: dict[str, list[str]], path: Path, where: str) -> None:
        self.turn, self.said, self.path, self.where = turn, said, path, where

    def number(self, key: str) -> int:
        found: int = member(self.turn, key, int, self.path, self.where)
        return found

    def text(self, kind: str, number: object, key: str) -> str:
        known = self.said[kind]
        if not isinstance(number, int) or not 0 <= number < len(known):
            message = f"there is no number {number!r} among {kind}"
            raise self.error(message, key, f"0 to {len(known) - 1}")
        return known[number]

    def options(self) -> list[str]:
        numbers = member(self.turn, "answer_options", list, self.path, self.where)
        return [self.text("answers", number, "answer_options") for number in numbers]

    def error(self, message: str, key: str, expected: str) -> UserError:
        return UserError(message, file=self.path, field=f"{self.where}.{key}", expected=expected)


def _images(split: str, folder: Path) -> Callable[[int], str]:
    """The file of an image: of COCO in training, of a collection of its own in the others."""
    if split != "train":
        return lambda image: f"VisualDialog_{split}/VisualDialog_{split}_{image:012d}.jpg"
    first, second = COCO_FOLDERS
    path = folder / second
    others = {each.name for each in path.iterdir()} if path.is_dir() else set()

    def name(image: int) -> str:
        other = f"COCO_{second}_{image:012d}.jpg"
        return f"{second}/{other}" if other in others else f"{first}/COCO_{first}_{image:012d}.jpg"

    return name


VISDIAL = Reader(
    "visdial",
    "Visual Dialog 1.0: a row a round. Below `data.images` are COCO's folders train2014 and "
    "val2014, and VisualDialog_val2018.",
    rows=_rows,
    columns={
        "key": Column("text", "the image's id and the round"),
        "image": Column("image", "its file name with its folder"),
        "caption": Column("text", "the image's caption, which starts the dialogue"),
        "question": Column("text", "the question of the round"),
        "questions": Column("texts", "all questions up to this round's"),
        "before": Column(
            "texts", "what was said before each of `questions`: the caption, then answers"
        ),
        "answer": Column("text", "the answer of the round"),
        "options": Column("texts", "a hundred answers, the right one among them"),
        "correct": Column("whole", "its number among them, from 0"),
        "round": Column("text", "the number of the round, from 1"),
        "relevance": Column(
            "numbers",
            "how fitting people find each option, 0 to 1, of rounds in the file beside it "
            "whose name ends in _dense_annotations.json; else nothing",
        ),
    },
    images="always",
)
