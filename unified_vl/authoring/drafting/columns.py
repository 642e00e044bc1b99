"""What a column means, by what it holds and what it is called."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unified_vl.authoring.drafting.files.samples import Columns
from unified_vl.authoring.drafting.languages import is_language
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.kinds.hooks.drafts import are_classes
from unified_vl.kinds.kind import Kind
from unified_vl.kinds.registry import KINDS
from unified_vl.specs.tasks.data import SplitName

Role = Literal["field", "language", "split", "key", "none"]
SPLITS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
_LANGUAGE = re.compile(r"(?:^|_)(?:lang|language|locale|lng)(?:_|$|uage)")
_SPLIT = re.compile(r"^(?:split|set|subset|partition|fold)$")
_KEY = re.compile(r"(?:^|_)(?:id|key|uid|uuid|idx|index|__key__)$")


@dataclass(frozen=True)
class Guess:
    """What a column means.

    Attributes:
        column: its name.
        role: whether it is a value of a row, names its language, split or key, or is of no use.
        values: all values that are there, those of lists one after the other.
        why: what was guessed and from what, or why the column is of no use.
    """

    column: str
    role: Role
    values: tuple[Any, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class FieldGuess(Guess):
    """What a column means whose values are those of a field.

    Attributes:
        kind: what a value means.
        many: whether there is a list of values.
        keys: those of its kind, each with what it may say; the first is tried first.
        missing: whether some rows have no such value, and need none.
        per_language: whether the column is a template of one a language.
        empty: whether some rows have none of a list.
        columns: those of its numbers, where each has its own.
    """

    role: Role = "field"
    kind: Kind = field(kw_only=True)
    many: bool = field(default=False, kw_only=True)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)
    empty: bool = field(default=False, kw_only=True)
    columns: tuple[str, ...] = field(default=(), kw_only=True)
    per_language: bool = field(default=False, kw_only=True)
    missing: bool = field(default=False, kw_only=True)

    @property
    def is_written_text(self) -> bool:
        """Whether such values are written as texts."""
        return self.kind.writing == "text"

    @property
    def classes(self) -> bool:
        """Whether it is a text of few values, each there several times."""
        return self.kind.free_text and not self.many and are_classes(self.values)

    def with_keys(self, **said: str) -> FieldGuess:
        """The guess where these keys, as far as its kind has them, are known to say so."""
        known = {key: (value,) for key, value in said.items() if key in self.keys}
        return replace(self, keys={**self.keys, **known})


def fields_among(guesses: Iterable[Guess]) -> list[FieldGuess]:
    """Those of columns that hold the values of a field."""
    return [guess for guess in guesses if isinstance(guess, FieldGuess)]


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
        lacking = not all(map(unpacked, cells))
    elif any(isinstance(value, bool) for value in values):
        return Guess(name, "none", why="holds true and false; write them as words to use them")
    else:
        found = _guess_values(name, values, len(cells))
        lacking = len(values) < len(cells)
    if isinstance(found, FieldGuess) and found.kind.writing == "nothing" and lacking:
        return replace(found, missing=True)
    return found


def _guess_values(name: str, values: Sequence[Any], rows: int) -> Guess:
    """A column of a value a row. Names, languages and splits are texts or numbers, too; what
    is written otherwise is nothing else."""
    found = _recognised(name, values)
    if found is not None and not found.is_written_text:
        return found
    if all(map(_is_number, values)):
        return _named_rows(name, values, rows) or found or Guess(name, "none", why=_said(values))
    if not all(isinstance(value, str) or _is_number(value) for value in values):
        return Guess(name, "none", why=_said(values))
    texts = [str(value) for value in values]
    return _named_texts(name, texts, rows) or found or Guess(name, "none", why=_said(values))


def _named_texts(name: str, values: Sequence[str], rows: int) -> Guess | None:
    """What texts are that are no field; None where they are one."""
    held, low = tuple(values), name.lower()
    distinct = set(values)
    if any(value.lower().startswith(("http://", "https://")) for value in values):
        return Guess(name, "none", why="holds addresses; images are read from files")
    if _LANGUAGE.search(low) and all(map(is_language, distinct)):
        return Guess(name, "language", held)
    known = {word for words in SPLITS.values() for word in words}
    if _SPLIT.match(low) and all(value.lower() in known for value in distinct):
        return Guess(name, "split", held)
    if _KEY.search(low) and len(distinct) == rows:
        return Guess(name, "key", held)
    if len(distinct) == 1 and rows > 2:
        return Guess(name, "none", why=f"says {_short(values[0])!r} in every row")
    return None


def _named_rows(name: str, values: Sequence[float], rows: int) -> Guess | None:
    """What numbers are that are no field; None where they are one."""
    if not _KEY.search(name.lower()):
        return None
    if len(set(values)) == rows:
        return Guess(name, "key", tuple(values))
    return Guess(name, "none", why="holds numbers that name something else")


def _guess_lists(name: str, lists: Sequence[list[Any]]) -> Guess:
    items = [item for each in lists for item in each]
    if not items:
        return Guess(name, "none", why="holds empty lists")
    if all(map(_is_number, items)):  # a list is one value, such as a box
        found = _recognised(name, lists)
        return found or Guess(name, "none", why="holds lists of numbers that are no boxes")
    found = _recognised(name, items)
    if found is not None:
        return replace(found, many=True)
    if all(isinstance(item, list) and item and all(map(_is_number, item)) for item in items):
        return Guess(name, "none", why="holds lists of numbers that are no boxes")
    return Guess(name, "none", why="holds lists of other things than texts, images and boxes")


def _recognised(name: str, values: Sequence[Any]) -> FieldGuess | None:
    """A field of the kind that knows such values; what was registered knows its own best."""
    low = name.lower()
    for kind in reversed(KINDS.values()):
        if (found := kind.recognise(low, values)) is not None:
            held = tuple(map(_held, values))
            return FieldGuess(name, values=held, why=found.why, kind=kind, keys=found.keys)
    return None


def _held(value: Any) -> Any:
    """A value that can be told from others: a list as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _said(values: Sequence[Any]) -> str:
    kinds = sorted({_CALLED.get(type(value), "other values") for value in values})
    return f"holds {' and '.join(kinds)}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


_CALLED: dict[type, str] = {dict: "objects", list: "lists", bytes: "bytes", str: "text"}
