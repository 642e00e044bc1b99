"""A first spec for data that nothing is known of: looked at, written down, and tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from unified_vl.authoring.drafting.holding_out import hold_out
from unified_vl.authoring.drafting.languages import tags_of
from unified_vl.authoring.drafting.places import Place, find_place
from unified_vl.authoring.drafting.plan import Plan, make_plan, task_name
from unified_vl.authoring.drafting.writing import render, spec_of
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError, nearest
from unified_vl.parts import NAME_PATTERN
from unified_vl.readers.encodings import is_text_encoding, text_encodings

TRIED = 40  # rows of each split
ENCODED = ("csv", "tsv")  # readers of files whose encoding a spec can say


@dataclass(frozen=True)
class Draft:
    """A spec for some data.

    Attributes:
        text: the YAML.
        root: the data root that its paths are relative to.
        bad: what is wrong with rows that were tried, where anything is.
    """

    text: str
    root: Path
    bad: tuple[BadRow, ...] = ()


def draft(
    given: Path,
    *,
    root: Path | None = None,
    task: str | None = None,
    encoding: str | None = None,
) -> Draft:
    """A spec for what a file or folder holds.

    Args:
        given: a table, an annotation file of COCO, a tar of WebDataset, or a folder.
        root: the data root; None chooses one.
        task: the task's name; None takes it from the file's.
        encoding: of a CSV or TSV file, where that is not UTF-8.

    Raises:
        UserError: when nothing can be read, or nothing be read and written by a model.
    """
    name = task or task_name(given.resolve())
    if not re.match(NAME_PATTERN, name):
        raise UserError(f"found {name!r}", field="--task", expected="a name such as my_task")
    place = find_place(given, root)
    if encoding is not None:
        place = replace(place, encoding=_known_encoding(encoding, place))
    plan = make_plan(place, name, movable=root is None)
    return _tried(plan)


def _known_encoding(encoding: str, place: Place) -> str:
    if place.reader not in ENCODED:
        message = f"says nothing of what the reader {place.reader!r} reads"
        raise UserError(message, field="--encoding", expected="a CSV or TSV file")
    if not is_text_encoding(encoding):
        raise UserError(
            f"found {encoding!r}",
            field="--encoding",
            expected="an encoding such as cp1252",
            nearest=nearest(encoding, text_encodings()),
        )
    return encoding


def _tried(plan: Plan) -> Draft:
    """The draft, once its rows were tried: numbers read as they fit, bad rows left out."""
    for number, each in enumerate(plan.fields):
        for key, values in each.guess.keys.items():
            if len(values) > 1:
                _try(plan, number, key, values)
    if plan.language_column is not None:
        _take_in_languages(plan)
    if plan.key_column is not None and not _keys_differ(plan):
        plan.notes.append(f"not used: column {plan.key_column!r} does not name rows apart")
        plan.key_column = None
    hold_out(plan)
    tried, bad = _bad_rows(plan)
    if bad and len(bad) < tried:
        plan.skip = f"{len(bad)} of the rows that were tried break the spec, the first: {bad[0]}"
    return Draft(render(plan), plan.place.root, tuple(bad))


def _try(plan: Plan, number: int, key: str, values: Sequence[str]) -> None:
    """Let a key of a field say the first of some values with which the fewest rows are bad."""
    bad = {}
    for value in values:
        _set(plan, number, key, value)
        bad[value] = len(_bad_rows(plan)[1])
    _set(plan, number, key, min(values, key=lambda value: bad[value]))


def _set(plan: Plan, number: int, key: str, value: str) -> None:
    old = plan.fields[number]
    new = replace(old, guess=old.guess.with_keys(**{key: value}))
    plan.fields[number] = new
    if plan.roles.written is old:
        plan.roles = replace(plan.roles, written=new)


def _take_in_languages(plan: Plan) -> None:
    """All languages of all rows, not only of the first."""
    spec = spec_of(plan)
    said: dict[str, None] = {}
    for split in spec.data.splits:
        said.update(
            dict.fromkeys(str(v) for v in TaskData(spec, split, plan.place.root).by_language())
        )
    plan.language_names = tags_of([plan.language_names.get(tag, tag) for tag in said])
    plan.languages = list(plan.language_names)


def _keys_differ(plan: Plan) -> bool:
    """Whether the key names one row of a language."""
    spec = spec_of(plan)
    for split in spec.data.splits:
        data = TaskData(spec, split, plan.place.root)
        if len(set(data.keys())) < len(data):
            return False
    return True


def _bad_rows(plan: Plan) -> tuple[int, list[BadRow]]:
    """How many rows were tried, and what is wrong with some of them."""
    spec = spec_of(plan)
    builder = ExampleBuilder(spec, ImageLoader(plan.place.root, (8, 8)))
    found = []
    tried = 0
    for split in spec.data.splits:
        data = TaskData(spec, split, plan.place.root)
        for row in data.rows(sorted(Random(0).sample(range(len(data)), min(TRIED, len(data))))):
            tried += 1
            try:
                builder.build(row, seed=None)
            except BadRow as error:
                found.append(error)
    return tried, found
