"""What a column means, by what it holds and what it is called."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from unified_vl.authoring.drafting.files.samples import Columns
from unified_vl.authoring.drafting.languages import is_language
from unified_vl.image_formats import NAMED
from unified_vl.kinds.box import Layout
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.kinds.kind import Writing
from unified_vl.kinds.places import PlaceKind
from unified_vl.kinds.registry import KINDS, kind_of
from unified_vl.specs.tasks.data import SplitName

Role = Literal["field", "language", "split", "key", "none"]
SPLITS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
MOST_CLASSES = 50
_SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"RIFF",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP",
)
_BOX_OF_FORMATS = b"ftyp"  # in the fifth byte of AVIF and HEIC
_LANGUAGE = re.compile(r"(?:^|_)(?:lang|language|locale|lng)(?:_|$|uage)")
_SPLIT = re.compile(r"^(?:split|set|subset|partition|fold)$")
_KEY = re.compile(r"(?:^|_)(?:id|key|uid|uuid|idx|index|__key__)$")
_CLASS = re.compile(r"(?:^|_)(?:label|class|category|target|y)(?:_|$)")
_SIZES = re.compile(r"xywh|wh$|_wh|ltwh")
_CORNERS = re.compile(r"xyxy|corner|ltrb|x1")


@dataclass(frozen=True)
class Guess:
    """What a column means.

    Attributes:
        column: its name.
        role: whether it is a value of a row, names its language, split or key, or is of no use.
        kind: what the value means, for a field.
        many: whether there is a list of values.
        layout: of boxes: what their numbers are, as far as they tell; xyxy is tried first.
        units: of shapes.
        missing: whether some rows have no such image.
        per_language: whether the column is a template of one a language.
        values: all values that are there, those of lists one after the other.
        why: what was guessed and from what, or why the column is of no use.
        empty: whether some rows have none of a list.
        columns: those of its numbers, where each has its own.
    """

    column: str
    role: Role
    kind: str = "text"
    many: bool = False
    layout: Layout | None = None
    units: Literal["pixels", "relative"] | None = None
    values: tuple[Any, ...] = ()
    why: str = ""
    empty: bool = False
    columns: tuple[str, ...] = ()
    per_language: bool = False
    missing: bool = False

    @property
    def writing(self) -> Writing:
        """What such values are written in."""
        return kind_of(self.kind).writing

    @property
    def classes(self) -> bool:
        """Whether it is a text of few values, each there several times."""
        if self.role != "field" or self.kind != "text" or self.many:
            return False
        distinct = set(self.values)
        return 2 <= len(distinct) <= min(MOST_CLASSES, len(self.values) // 2) and all(
            len(str(value)) <= 40 for value in distinct
        )


def guess_columns(columns: Columns) -> list[Guess]:
    """What each column means, in their order; one key at most."""
    guesses = [_guess(name, values) for name, values in columns.items()]
    keys = [guess for guess in guesses if guess.role == "key"]
    best = min(keys, key=lambda guess: len(guess.column), default=None)
    return [
        Guess(g.column, "none", why="names rows, as another column does")
        if g.role == "key" and g is not best
        else g
        for g in guesses
    ]


def _guess(name: str, cells: Sequence[Any]) -> Guess:
    values = [unpacked(cell) for cell in cells if cell is not None and cell != ""]
    if not values:
        return Guess(name, "none", why="is empty")
    if all(isinstance(value, list) for value in values):
        found = _guess_lists(name, [value for value in values if value])
        lacking = found.kind == "image" and not all(map(unpacked, cells))
        return replace(found, missing=lacking)
    if any(isinstance(value, bool) for value in values):
        return Guess(name, "none", why="holds true and false; write them as words to use them")
    if all(map(_is_image, values)):
        lacking = len(values) < len(cells)
        return Guess(name, "field", "image", values=tuple(values), missing=lacking)
    if all(map(_is_number, values)):
        return _guess_numbers(name, values, len(cells))
    if not all(isinstance(value, str) or _is_number(value) for value in values):
        kinds = sorted({_KINDS.get(type(value), "other values") for value in values})
        return Guess(name, "none", why=f"holds {' and '.join(kinds)}")
    return _guess_texts(name, [str(value) for value in values], len(cells))


def _guess_texts(name: str, values: Sequence[str], rows: int) -> Guess:
    held, low = tuple(values), name.lower()
    distinct = set(values)
    if any(value.lower().startswith(("http://", "https://")) for value in values):
        return Guess(name, "none", why="holds addresses; images are read from files")
    if _LANGUAGE.search(low) and all(map(is_language, distinct)):
        return Guess(name, "language", "language", values=held)
    known = {word for words in SPLITS.values() for word in words}
    if _SPLIT.match(low) and all(value.lower() in known for value in distinct):
        return Guess(name, "split", values=held)
    if _KEY.search(low) and len(distinct) == rows:
        return Guess(name, "key", values=held)
    if len(distinct) == 1 and rows > 2:
        return Guess(name, "none", why=f"says {_short(values[0])!r} in every row")
    return Guess(name, "field", "text", values=held)


def _guess_numbers(name: str, values: Sequence[float], rows: int) -> Guess:
    if _KEY.search(name.lower()):
        if len(set(values)) == rows:
            return Guess(name, "key", values=tuple(values))
        return Guess(name, "none", why="holds numbers that name something else")
    whole = all(value == int(value) for value in values)
    classes = Guess(
        name,
        "field",
        "text",
        values=tuple(map(str, values)),
        why="these are numbers of classes; kind: label with names would write words",
    )
    if whole and _CLASS.search(name.lower()) and classes.classes:
        return classes
    return Guess(name, "field", "number", values=tuple(values))


def _guess_lists(name: str, lists: Sequence[list[Any]]) -> Guess:
    items = [item for each in lists for item in each]
    if not items:
        return Guess(name, "none", why="holds empty lists")
    if all(map(_is_image, items)):
        return Guess(name, "field", "image", many=True, values=tuple(items))
    if all(_is_number(item) for item in items):
        return _guess_shape(name, lists, False)
    if all(isinstance(item, list) and item and all(map(_is_number, item)) for item in items):
        return _guess_shape(name, items, True)
    if all(isinstance(item, str) for item in items):
        return Guess(name, "field", "text", many=True, values=tuple(items))
    return Guess(name, "none", why="holds lists of other things than texts, images and boxes")


def _guess_shape(name: str, shapes: Sequence[list[float]], many: bool) -> Guess:
    """A place in an image, by how many numbers it has and what they are."""
    lengths = {len(shape) for shape in shapes}
    units: Literal["pixels", "relative"] = "pixels"
    if all(0 <= number <= 1 for shape in shapes for number in shape):
        units = "relative"
    held = tuple(tuple(shape) for shape in shapes)
    low = name.lower()
    for kind in reversed(KINDS.values()):  # what was registered knows its own columns best
        if isinstance(kind, PlaceKind) and kind.is_drafted(low, lengths):
            layout, why = _layout(low, shapes) if "layout" in kind.reads else (None, "")
            return Guess(name, "field", kind.name, many, layout, units, held, why)
    return Guess(name, "none", why="holds lists of numbers that are no boxes")


def _layout(
    name: str, boxes: Sequence[Sequence[float]]
) -> tuple[Literal["xyxy", "xywh"] | None, str]:
    """What four numbers are, where they or their name tell; None where both are possible."""
    if any(x2 <= x1 or y2 <= y1 for x1, y1, x2, y2 in boxes):
        return "xywh", "the third or fourth number is not always above the first or second"
    if _SIZES.search(name):
        return "xywh", "the column's name"
    if _CORNERS.search(name):
        return "xyxy", "the column's name"
    return None, "which of both fits all images that were looked at"


def _is_image(value: Any) -> bool:
    if isinstance(value, dict) and {"bytes", "path"} & set(value):
        return _is_image(value.get("bytes") or value.get("path"))
    if isinstance(value, bytes):
        return value.startswith(_SIGNATURES) or value[4:8] == _BOX_OF_FORMATS
    return (
        isinstance(value, str)
        and value.lower().endswith(tuple(NAMED))
        and "://" not in value
        and len(value) <= 1000
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


_KINDS: dict[type, str] = {dict: "objects", list: "lists", bytes: "bytes", str: "text"}
