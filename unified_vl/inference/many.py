"""Answers to many rows, as they come: with progress, and an end whenever somebody wants one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.errors import UserError, nearest
from unified_vl.inference.inputs import chunks, input_row
from unified_vl.inference.prediction import Prediction
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL

AT_ONCE = 4  # batches that are sorted by length together: less waits than in a file of rows
Told = Callable[[int, int | None], object]
"""Called as (answers so far, rows in total where that is known)."""


def predict_many(
    predictor: UnifiedVL,
    rows: Iterable[Mapping[str, Any]],
    task: str | Path | TaskSpec | None,
    language: str | None,
    batch_size: int,
    n: int,
    progress: Told | None,
) -> Iterator[Prediction]:
    """As `UnifiedVL.predict_many`, which says what each argument is."""
    if batch_size < 1:
        raise UserError(f"found {batch_size}", field="batch_size", expected="at least 1")
    spec = None if task is None else predictor.spec(task)
    total = len(rows) if isinstance(rows, Sized) else None
    return _answers(predictor, rows, spec, language, batch_size, n, progress, total)


def _answers(
    predictor: UnifiedVL,
    rows: Iterable[Mapping[str, Any]],
    spec: TaskSpec | None,
    language: str | None,
    batch_size: int,
    n: int,
    progress: Told | None,
    total: int | None,
) -> Iterator[Prediction]:
    builders: dict[TaskSpec, ExampleBuilder] = {}
    done = 0
    for chunk in chunks(rows, AT_ONCE * batch_size):
        inputs: list[tuple[TaskSpec, EncodedExample]] = []
        failures: dict[int, Prediction] = {}
        for place, row in enumerate(chunk):
            try:
                inputs.append(_encoded(predictor, builders, spec, row, language, done + place))
            except UserError as error:
                failures[place] = Prediction(_key(row), None, None, error=str(error))
        answered = done + len(failures)

        def told(count: int, before: int = answered) -> None:
            if progress is not None:
                progress(before + count, total)

        found = predictor.predict_encoded(inputs, batch_size, n=n, told=told)
        for place, row in enumerate(chunk):
            yield failures[place] if place in failures else replace(next(found), key=_key(row))
        done += len(chunk)
        if progress is not None and not inputs:
            progress(done, total)


def _encoded(
    predictor: UnifiedVL,
    builders: dict[TaskSpec, ExampleBuilder],
    spec: TaskSpec | None,
    row: Mapping[str, Any],
    language: str | None,
    number: int,
) -> tuple[TaskSpec, EncodedExample]:
    if not isinstance(row, Mapping):
        raise UserError(f"row {number} is {type(row).__name__}", expected="fields by name")
    asked = spec or _named(predictor, row.get("task"))
    if asked not in builders:
        builders[asked] = predictor.builder(asked, root=None)  # a person may name any file
    values = input_row(asked, row, row.get("language", language), file="row", index=number)
    example = builders[asked].build(values, seed=None, with_target=False)
    return asked, encode_example(example, predictor.codec, with_target=False)


def _named(predictor: UnifiedVL, name: object) -> TaskSpec:
    """Only the model's own tasks: a row may not open a file."""
    known = predictor.specs
    if isinstance(name, str) and name in known:
        return known[name]
    raise UserError(
        "the row names no task" if name is None else f"the model has no task {name!r}",
        field="task",
        expected=f"one of {', '.join(known)}",
        nearest=nearest(name, known) if isinstance(name, str) else None,
    )


def _key(row: Any) -> str | None:
    key = row.get("key") if isinstance(row, Mapping) else None
    return None if key is None else str(key)
