"""Which rows of a file are of the task: those of a split, with something in what is needed."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unified_vl.data.rows.columns import together
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.readers.table import BLOCK, Table
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.fields import FieldSpec


@dataclass
class Selection:
    """The rows of a file's table that are left, in the words of their spec, and what became of
    the others. Values are read when they are asked for.

    Attributes:
        table: all rows.
        spec: the task.
        numbers: the place in the file, from 0, of each row of the table; None where it is that in
            the table.
        left_out: how many are none of the task, by what they lack.
        lost: how many things of its rows are left out, by what they are.
        files: the file of each row of the table, where they are in several.
        chosen: the places in the table of the rows that are left; None for all.
        columns: the columns, by their names in the rows, as the table has them.
        trimmed: columns whose lists are without what is blank, with the language of the rows that
            it is so in, or none for all.
    """

    table: Table
    spec: TaskSpec
    numbers: Sequence[int] | None
    left_out: dict[str, int]
    lost: Counter[str] = field(default_factory=Counter)
    files: Sequence[str] | None = None
    chosen: Sequence[int] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    trimmed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.columns = self.columns or {name: name for name in self.table.names}
        several = (field for field in self.spec.fields.values() if field.columns is not None)
        self._joined = {field.column_in(""): field.columns or () for field in several}

    def __len__(self) -> int:
        return len(self.table) if self.chosen is None else len(self.chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of its rows."""
        return (*self.columns, *self._joined)

    def place(self, index: int) -> tuple[str | None, int]:
        """The file of a row, where they are in several, and the place in it, from 0."""
        place = index if self.chosen is None else self.chosen[index]
        file = None if self.files is None else self.files[place]
        return file, place if self.numbers is None else self.numbers[place]

    def keep(self, indices: Sequence[int], lack: str = "") -> None:
        """Only the rows at these indices; the others lack something, or are of no concern."""
        lost = len(self) - len(indices)
        if not lost:
            return
        chosen = self.chosen
        self.chosen = array("q", indices if chosen is None else [chosen[i] for i in indices])
        if lack:
            self.left_out[lack] = self.left_out.get(lack, 0) + lost

    def rows(self, indices: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The values of rows by column, in the order of `indices`."""
        chosen, of = self.chosen, self.spec.data.language_column
        found = self.table.take(indices if chosen is None else [chosen[i] for i in indices])
        columns = [found[name] for name in self.columns.values()]
        for values in zip(*columns, strict=True):
            row = dict(zip(self.columns, values, strict=True))
            for name, parts in self._joined.items():
                row[name] = together(row, parts)
            if of is not None:
                row[of] = self._tag(row[of])
            for name, tag in self.trimmed.items():
                if not tag or (of is not None and row[of] == tag):
                    row[name] = _without_blanks(row[name])
            yield row

    def column(self, name: str) -> Iterator[Any]:
        """The values of a column, in the order of the rows."""
        if self.chosen is None and name in self.columns and name not in self.trimmed:
            values = self.table.column(self.columns[name])
            yield from map(self._tag, values) if name == self.spec.data.language_column else values
            return
        for start in range(0, len(self), BLOCK):
            block = range(start, min(start + BLOCK, len(self)))
            yield from (row[name] for row in self.rows(block))

    def _tag(self, language: Any) -> Any:
        """The spec's tag of what the files call a language; what is none stays as it is."""
        return (
            self.spec.data.tag_of(language) or language if isinstance(language, str) else language
        )


def unpivoted(rows: Selection, spec: TaskSpec) -> Iterator[tuple[str, Selection]]:
    """For each language the rows that have all of its columns, under the names of its tag."""
    per_language = [f for f in spec.fields.values() if f.column_in("a") != f.column_in("b")]
    for number, tag in enumerate(spec.data.languages):
        name = spec.data.language_name(tag)
        own = {f.column_in(name): f.column_in(tag) for f in per_language}
        others = {
            f.column_in(spec.data.language_name(other))
            for f in per_language
            for other in spec.data.languages
        }
        columns = {own.get(c, c): c for c in rows.table.names if c in own or c not in others}
        # what the reader left out has no language: it counts once
        left_out, lost = ({}, Counter[str]()) if number else (rows.left_out, rows.lost)
        found = replace(
            rows, columns=columns, left_out=dict(left_out), lost=Counter(lost), trimmed={}
        )
        needed = {f.column_in(tag): f.column_in(name) for f in per_language if f.missing != "allow"}
        for column, called in sorted(needed.items()):
            there = [i for i, value in enumerate(found.column(column)) if not is_blank(value)]
            found.keep(there, f"lack {called!r}")
        yield tag, found


def drop_missing(rows: Selection, spec: TaskSpec, language: str | None) -> None:
    """Leave out the empty texts of fields with `missing: drop`, and rows that have no other.

    Args:
        rows: the rows.
        spec: the task.
        language: which they are in; None where a column says.
    """
    for name, each in spec.fields.items():
        if each.missing != "drop":
            continue
        tags = spec.data.languages if language is None else (language,)
        for column, of in _columns(each, tags).items():
            _drop_in(rows, name, each, column, of)


def _columns(each: FieldSpec, tags: Sequence[str]) -> dict[str, str]:
    """The columns of a field, with the language of those that are one's own."""
    own = len(tags) > 1 and each.column_in("a") != each.column_in("b")
    return {each.column_in(tag): tag if own else "" for tag in tags}


def _rows_in(rows: Selection, spec: TaskSpec, tag: str) -> set[int]:
    column = spec.data.language_column
    said = () if column is None else rows.column(column)
    return {index for index, value in enumerate(said) if value == tag}


def _drop_in(rows: Selection, name: str, each: FieldSpec, column: str, tag: str) -> None:
    """In one column; only in the rows of a language, where it is given."""
    if column not in rows.names:
        return
    wanted = _rows_in(rows, rows.spec, tag) if tag else None
    kept, dropped = array("q"), 0
    for index, value in enumerate(rows.column(column)):
        if wanted is not None and index not in wanted:
            kept.append(index)
        elif not is_blank(value):
            kept.append(index)
            if each.many and (shorter := _without_blanks(value)) is not value:
                dropped += len(unpacked(value)) - len(unpacked(shorter))
    rows.keep(kept, f"have nothing in {column!r}")
    if dropped:
        rows.trimmed[column] = tag
        rows.lost[f"empty values of {name!r}"] += dropped


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: no value, no text but spaces, or a list of such."""
    if isinstance(value, Mapping):  # an image of `datasets`
        return all(part is None for part in value.values())
    items = unpacked(value)
    if isinstance(items, list):
        return all(map(is_blank, items))
    return value is None or (isinstance(value, str) and not value.strip())


def _without_blanks(value: Any) -> Any:
    """A list without its blank items; the value itself where there are none."""
    items = unpacked(value)
    if not isinstance(items, list):
        return value
    kept = [item for item in items if not is_blank(item)]
    if len(kept) == len(items):
        return value
    return json.dumps(kept, ensure_ascii=False) if isinstance(value, str) else kept
