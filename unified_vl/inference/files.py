"""Prediction from a file of rows to a file of answers, which survives an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object, write_atomically
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import CHUNK, UnifiedVL, chunks, input_row
from unified_vl.specs.task import TaskSpec

Numbered = tuple[int, str]


def predict_file(
    predictor: UnifiedVL,
    task: str | Path | TaskSpec | None,
    source: str | Path,
    output: str | Path,
    *,
    language: str | None = None,
    batch_size: int = 64,
    n: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Answer every row of a JSONL file, in order; a bad row gets a message and no answer.

    Answers are added to `OUTPUT.partial` as they come. A call that finds one of the same
    job (the same input, tasks, language, `n` and model) goes on behind its last whole
    line; one of another job is begun anew.

    Args:
        predictor: the model.
        task: name, spec or spec file of the task; None when the rows say it.
        source: a row a line: the task's fields by name, with `language` and, if wished,
            `key` and `task`, the name of one of the model's tasks. Image paths are
            relative to this file and stay below its folder.
        output: rows `{"key", "prediction", "boxes", "score", "error"}`, with
            `alternatives` where `n` is above 1; it appears when the last row is
            answered, so a file that is there is whole.
        language: of rows that name none.
        batch_size: rows that the model reads at once.
        n: how many answers a row gets in `alternatives`.
        progress: told the number of rows done, and of all rows.

    Returns:
        How many rows got a message in place of an answer.

    Raises:
        UserError: when the task is unknown or the input file cannot be read.
    """
    source, output = Path(source), Path(output)
    reader = _Reader(predictor, None if task is None else predictor.spec(task), source, language)
    if not source.is_file():
        raise UserError("the input file is missing", file=source)
    if output.exists() and output.samefile(source):
        raise UserError("the output would replace the input", file=output)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.name}.partial")
    job_file = output.with_name(f"{output.name}.partial.job")
    job = _job(predictor, reader, n)
    total = sum(1 for _ in numbered_lines(source))
    with _opened(partial, job_file, job) as writer:
        done, failed = _answered(writer)
        if progress:
            progress(done, total)
        left = islice(numbered_lines(source), done, None)
        for lines in chunks(left, CHUNK * batch_size):
            for answer in reader.answer(lines, batch_size, n):
                row = json.dumps(answer.as_row(), ensure_ascii=False)
                writer.write(row.encode("utf-8", "backslashreplace") + b"\n")
                failed += answer.error is not None
            writer.flush()
            done += len(lines)
            if progress:
                progress(done, total)
    partial.replace(output)
    job_file.unlink()
    return failed


def _job(predictor: UnifiedVL, reader: _Reader, n: int) -> dict[str, Any]:
    """What must be the same for the answers that are there to be this call's."""
    with reader.source.open("rb") as file:
        read = hashlib.file_digest(file, "sha256").hexdigest()
    specs = predictor.specs.values() if reader.spec is None else (reader.spec,)
    tasks = hashlib.sha256(repr([(s.text, s.choices) for s in specs]).encode()).hexdigest()
    return {
        "input": read,
        "tasks": tasks,
        "rows_name_their_task": reader.spec is None,
        "language": reader.language,
        "n": n,
        "model": predictor.fingerprint,
    }


def _opened(partial: Path, job_file: Path, job: dict[str, Any]) -> IO[bytes]:
    """The file of answers: that of an interrupted call of the same job, or an empty one."""
    begun = None
    with suppress(UserError, OSError):
        begun = read_json_object(job_file)
    if begun != job:
        partial.unlink(missing_ok=True)
        write_atomically(job_file, json.dumps(job))
    partial.touch()
    return partial.open("r+b")


def _answered(file: IO[bytes]) -> tuple[int, int]:
    """Whole rows in a file of answers, and how many of them are messages.

    What a kill left of a row behind the last whole one is cut off; the file stands there.
    """
    rows = failed = whole = 0
    for line in file:
        try:
            answer = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(answer, dict):
            break
        rows += 1
        failed += answer.get("error") is not None
        whole += len(line)
    file.seek(whole)
    file.truncate()
    return rows, failed


def numbered_lines(path: Path) -> Iterator[Numbered]:
    """Lines that are not empty, with their numbers; undecodable bytes fail in their line."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as reader:
        for number, line in enumerate(reader, start=1):
            if line.strip():
                yield number, line


class _Reader:
    """Turns the lines of a file into examples, of one task or of the one that each names."""

    def __init__(
        self, predictor: UnifiedVL, spec: TaskSpec | None, source: Path, language: str | None
    ) -> None:
        self.predictor = predictor
        self.spec = spec
        self.source = source
        self.language = language
        self._builders: dict[TaskSpec, ExampleBuilder] = {}

    def answer(self, lines: list[Numbered], batch_size: int, n: int) -> Iterator[Prediction]:
        """An answer or a message a line; keys are given back as they came."""
        keys: list[str | None] = []
        inputs: list[tuple[TaskSpec, EncodedExample]] = []
        failures: dict[int, str] = {}
        for place, (number, line) in enumerate(lines):
            keys.append(None)
            try:
                values = parse_row(line, self.source, number)
                keys[place] = None if values.get("key") is None else str(values["key"])
                inputs.append(self._encode(values, number))
            except UserError as error:
                if error.file is None:
                    error.file, error.line = str(self.source), number
                failures[place] = str(error)
        answers = self.predictor.predict_encoded(inputs, batch_size, n=n)
        for place, key in enumerate(keys):
            if place in failures:
                yield Prediction(key, None, None, None, error=failures[place])
            else:
                yield replace(next(answers), key=key)

    def _encode(self, values: dict[str, Any], number: int) -> tuple[TaskSpec, EncodedExample]:
        spec = self.spec or self._named(values.get("task"))
        if spec not in self._builders:
            self._builders[spec] = self.predictor.builder(spec, self.source.parent)
        spoken = values.get("language", self.language)
        row = input_row(spec, values, spoken, file=str(self.source), index=number - 1)
        example = self._builders[spec].build(row, seed=None, with_target=False)
        return spec, encode_example(example, self.predictor.codec)

    def _named(self, name: object) -> TaskSpec:
        """Only the model's own tasks: a row may not open a file."""
        known = self.predictor.specs
        if not isinstance(name, str) or name not in known:
            said = "the row names no task" if name is None else f"the model has no task {name!r}"
            raise UserError(
                said,
                field="task",
                expected=f"one of {', '.join(known)}",
                nearest=nearest(name, known) if isinstance(name, str) else None,
            )
        return known[name]


def parse_row(line: str, source: Path, number: int) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        UserError: when it is something else.
    """
    try:
        values = json.loads(line.encode("utf-8", "surrogateescape").decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"this is not JSON: {error}", file=source, line=number) from error
    if not isinstance(values, dict):
        raise UserError("this is not a JSON object", file=source, line=number)
    return values
