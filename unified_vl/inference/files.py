"""Prediction from a file of rows to a file of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from unified_vl.data.examples import Example, ExampleBuilder
from unified_vl.errors import UserError
from unified_vl.inference.predictor import CHUNK, Prediction, UnifiedVL, chunks, input_row
from unified_vl.specs.task import TaskSpec

Numbered = tuple[int, str]


def predict_file(
    predictor: UnifiedVL,
    task: str | Path | TaskSpec,
    source: str | Path,
    output: str | Path,
    *,
    language: str | None = None,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Answer every row of a JSONL file, in order; a bad row gets a message and no answer.

    Args:
        predictor: the model.
        task: name, spec or spec file of the task.
        source: a row a line: the task's fields by name, with `language` and, if wished,
            `key`. Image paths are relative to this file and stay below its folder.
        output: rows `{"key", "prediction", "boxes", "score", "error"}`; it appears when
            the last row is answered, so a file that is there is whole.
        language: of rows that name none.
        batch_size: rows that the model reads at once.
        progress: told the number of rows done.

    Returns:
        How many rows got a message in place of an answer.

    Raises:
        UserError: when the task is unknown or the input file cannot be read.
    """
    source, output = Path(source), Path(output)
    spec = predictor.spec(task)
    if not source.is_file():
        raise UserError("the input file is missing", file=source)
    if output.exists() and output.samefile(source):
        raise UserError("the output would replace the input", file=output)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.name}.partial")
    builder = predictor.builder(spec, source.parent)
    failed = done = 0
    try:
        with partial.open("w", encoding="utf-8") as writer:
            for lines in chunks(_lines(source), CHUNK * batch_size):
                answers = _answer(predictor, spec, builder, lines, source, language, batch_size)
                for answer in answers:
                    writer.write(json.dumps(answer.as_row(), ensure_ascii=False) + "\n")
                failed += sum(answer.error is not None for answer in answers)
                done += len(answers)
                if progress:
                    progress(done)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return failed


def _lines(path: Path) -> Iterator[Numbered]:
    """Lines that are not empty, with their numbers; undecodable bytes fail in their line."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as reader:
        for number, line in enumerate(reader, start=1):
            if line.strip():
                yield number, line


def _answer(
    predictor: UnifiedVL,
    spec: TaskSpec,
    builder: ExampleBuilder,
    lines: list[Numbered],
    source: Path,
    language: str | None,
    batch_size: int,
) -> list[Prediction]:
    """An answer or a message a line; keys are given back as they came."""
    keys: list[str | None] = []
    examples: list[Example] = []
    failures: dict[int, str] = {}
    for place, (number, line) in enumerate(lines):
        keys.append(None)
        try:
            values = _parse(line, source, number)
            keys[place] = None if values.get("key") is None else str(values["key"])
            spoken = values.get("language", language)
            row = input_row(spec, values, spoken, file=str(source), index=number - 1)
            examples.append(builder.build(row, seed=None, with_target=False))
        except UserError as error:
            if error.file is None:
                error.file, error.line = str(source), number
            failures[place] = str(error)
    answers = predictor.predict_examples(spec, examples, batch_size)
    return [
        Prediction(key, None, None, None, error=failures[place])
        if place in failures
        else replace(next(answers), key=key)
        for place, key in enumerate(keys)
    ]


def _parse(line: str, source: Path, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line.encode("utf-8", "surrogateescape").decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"this is not JSON: {error}", file=source, line=number) from error
    if not isinstance(values, dict):
        raise UserError("this is not a JSON object", file=source, line=number)
    return values
