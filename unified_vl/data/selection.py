"""Which rows of a file are of the task: those of a split, with something in what is needed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from unified_vl.specs.fields import FieldSpec
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Selection:
    """The rows of a file's table that are left, and what became of the others.

    Attributes:
        table: the rows.
        numbers: the place of each in the file, from 0; None where they are all of it.
        left_out: how many are none of the task, by what they lack.
        lost: how many things of its rows are left out, by what they are.
        files: the file of each row, where they are in several.
    """

    table: pa.Table
    numbers: Sequence[int] | None
    left_out: dict[str, int]
    lost: Counter[str] = field(default_factory=Counter)
    files: Sequence[str] | None = None

    def keep(self, places: Sequence[int], lack: str = "") -> None:
        """Only the rows at these places; the others lack something, or are of no concern."""
        import pyarrow as pa

        lost = len(self.table) - len(places)
        if not lost:
            return
        self.table = self.table.take(pa.array(places, pa.int64()))  # typed: there may be none
        numbers = self.numbers
        self.numbers = list(places) if numbers is None else [numbers[place] for place in places]
        if self.files is not None:
            self.files = [self.files[place] for place in places]
        if lack:
            self.left_out[lack] = self.left_out.get(lack, 0) + lost


def unpivoted(rows: Selection, spec: TaskSpec) -> Iterator[tuple[str, Selection]]:
    """For each language the rows that have all of its columns, under the names of its tag."""
    per_language = [f for f in spec.fields.values() if _column(f, "a") != _column(f, "b")]
    for number, tag in enumerate(spec.data.languages):
        name = spec.data.language_name(tag)
        own = {_column(f, name): _column(f, tag) for f in per_language}
        others = {
            _column(f, spec.data.language_name(other))
            for f in per_language
            for other in spec.data.languages
        }
        columns = [c for c in rows.table.column_names if c in own or c not in others]
        table = rows.table.select(columns)
        # what the reader left out has no language: it counts once
        left_out, lost = ({}, Counter[str]()) if number else (rows.left_out, rows.lost)
        found = replace(rows, table=table, left_out=dict(left_out), lost=Counter(lost))
        needed = {_column(f, name) for f in per_language if f.missing != "allow"}
        for column in sorted(needed):
            values = found.table.column(column).to_pylist()
            there = [place for place, value in enumerate(values) if not is_blank(value)]
            found.keep(there, f"lack {column!r}")
        found.table = found.table.rename_columns([own.get(c, c) for c in columns])
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
            _drop_in(rows, name, each, column, _places_in(rows, spec, of) if of else None)


def _columns(each: FieldSpec, tags: Sequence[str]) -> dict[str, str]:
    """The columns of a field, with the language of those that are one's own."""
    own = len(tags) > 1 and _column(each, "a") != _column(each, "b")
    return {_column(each, tag): tag if own else "" for tag in tags}


def _places_in(rows: Selection, spec: TaskSpec, tag: str) -> set[int]:
    column = spec.data.language_column
    said = [] if column is None else rows.table.column(column).to_pylist()
    return {place for place, value in enumerate(said) if value == tag}


def _drop_in(
    rows: Selection, name: str, each: FieldSpec, column: str, places: set[int] | None
) -> None:
    """In one column; only in the rows at some places, where these are given."""
    import pyarrow as pa

    if column not in rows.table.column_names:
        return
    values = rows.table.column(column).to_pylist()
    kept, changed, dropped = [], False, 0
    for place, value in enumerate(values):
        if places is not None and place not in places:
            kept.append(place)
        elif not is_blank(value):
            kept.append(place)
            if each.many and (shorter := _without_blanks(value)) is not value:
                dropped += len(_items(value)) - len(_items(shorter))
                values[place], changed = shorter, True
    if changed:
        cells = pa.array(values, rows.table.schema.field(column).type)
        rows.table = rows.table.set_column(rows.table.column_names.index(column), column, cells)
        rows.lost[f"empty values of {name!r}"] += dropped
    rows.keep(kept, f"have nothing in {column!r}")


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: no value, no text but spaces, or a list of such."""
    if isinstance(value, Mapping):  # an image of `datasets`
        return all(part is None for part in value.values())
    items = _items(value)
    if isinstance(items, list):
        return all(map(is_blank, items))
    return value is None or (isinstance(value, str) and not value.strip())


def _items(value: Any) -> Any:
    """A list out of a cell of CSV, which holds it as JSON; else the value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def _without_blanks(value: Any) -> Any:
    """A list without its blank items; the value itself where there are none."""
    items = _items(value)
    if not isinstance(items, list):
        return value
    kept = [item for item in items if not is_blank(item)]
    if len(kept) == len(items):
        return value
    return json.dumps(kept, ensure_ascii=False) if isinstance(value, str) else kept


def _column(each: FieldSpec, language: str) -> str:
    return fill(each.column, language=language)
