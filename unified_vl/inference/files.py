"""Prediction from a file of rows to a file of answers, which survives an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.errors import UserError, nearest
from unified_vl.files import parse_json, read_json_object, write_atomically
from unified_vl.inference.answers import AnswerFormat, answer_format, carried_values, write_errors
from unified_vl.inference.inputs import (
    chunks,
    input_language,
    input_row,
    source_fields,
    target_fields,
)
from unified_vl.inference.pictures import PictureFolder
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import CHUNK, UnifiedVL
from unified_vl.inference.rows import RowFile, Values, open_rows
from unified_vl.inference.tally import Tally
from unified_vl.kinds.registry import KINDS
from unified_vl.locks import only_writer
from unified_vl.specs.reading.overrides import with_generate
from unified_vl.specs.task import TaskSpec


def predict_file(
    predictor: UnifiedVL,
    task: str | Path | TaskSpec | None,
    source: str | Path,
    output: str | Path,
    *,
    language: str | Sequence[str] | None = None,
    batch_size: int = 64,
    n: int = 1,
    progress: Callable[[int, int], None] | None = None,
    tally: Tally | None = None,
    raw: bool = False,
    generate: Mapping[str, Any] | None = None,
) -> int:
    """Answer every row of a file, in order; a bad row gets a message and no answer.

    Answers are added to `OUTPUT.partial` as they come. A call that finds one of the same
    job (the same input, tasks, language, `n` and model) goes on behind its last whole
    line; one of another job is begun anew.

    Args:
        predictor: the model.
        task: name, spec or spec file of the task; None when the rows say it.
        source: JSONL, Parquet or CSV: the task's fields by name, with `language` and, if
            wished, `key` (or what the spec's `data.key_column` names) and `task`, the name of one
            of the model's tasks. Image paths are
            relative to this file and stay below its folder. Or a folder: its images.
        output: rows `{"key", "prediction", "boxes", "score", "error"}` as JSONL, Parquet or
            CSV, with `alternatives` where `n` is above 1; or, ending in `.json`, the boxes as
            COCO results, of rows with `image_id` and `category_id`, and the messages, if
            any, in `OUTPUT.errors.jsonl`. It appears when the last row is answered, so a
            file that is there is whole. Pictures that a task writes go to the folder
            `NAME.images` beside it, their paths to `images`.
        language: of rows that name none. Several: every row is answered in each, one after
            the other, and the answers have a column `language`; rows then name none.
        batch_size: rows that the model reads at once.
        n: how many answers a row gets in `alternatives`.
        progress: told the number of answers that are there, and of all.
        tally: counts the answers, and what is amiss with them.
        raw: leave texts in CSV that spreadsheets take for formulas as they are; else an
            apostrophe comes before them.
        generate: keys of `generate` in place of the specs'; the answers have them in a column
            `generate`.

    Returns:
        How many answers are messages.

    Raises:
        UserError: when the task is unknown, the input file cannot be read, the output not be
            written, or another process writes it.
    """
    output = Path(output)
    kind = answer_format(output, raw=raw)
    spec = None if task is None else with_generate(predictor.spec(task), generate or {})
    if spec is not None and not kind.errors and not _writes_boxes(spec):
        raise UserError(f"the task {spec.task!r} has no boxes for COCO results", file=output)
    rows = open_rows(Path(source), None if spec is None else _image_field(spec, Path(source)))
    if output.exists() and output.samefile(source):
        raise UserError("the output would replace the input", file=output)
    languages = _languages(language, spec)
    pictures = PictureFolder(output)
    reader = _Reader(predictor, spec, Path(source), rows, languages, kind.carried, pictures)
    reader.generate = dict(generate or {})
    with only_writer(output):
        return _write(reader, output, kind, batch_size, n, progress, tally or Tally())


def _write(
    reader: _Reader,
    output: Path,
    kind: AnswerFormat,
    batch_size: int,
    n: int,
    progress: Callable[[int, int], None] | None,
    tally: Tally,
) -> int:
    """The answers to the reader's rows; returns how many are messages."""
    partial = output.with_name(f"{output.name}.partial")
    job_file = output.with_name(f"{output.name}.partial.job")
    total = len(reader.rows) * len(reader.languages)
    with _opened(partial, job_file, _job(reader, n)) as writer:
        _take_up(writer, tally)
        done = tally.rows
        if progress:
            progress(done, total)
        for asked in chunks(reader.asked(done), CHUNK * batch_size):
            for row in reader.answer(asked, done, batch_size, n):
                line = json.dumps(row, ensure_ascii=False)
                writer.write(line.encode("utf-8", "backslashreplace") + b"\n")
                tally.add(row)
            writer.flush()
            done += len(asked)
            if progress:
                progress(done, total)
    if not kind.errors:
        errors_file(output).unlink(missing_ok=True)
        if tally.failed:
            write_errors(partial, errors_file(output))
    if kind.write is None:
        partial.replace(output)
    else:
        whole = output.with_name(f"{output.name}.whole")
        kind.write(partial, whole)
        whole.replace(output)
        partial.unlink()
    job_file.unlink()
    return tally.failed


def errors_file(output: Path) -> Path:
    """Where the messages go that a format has no room for."""
    return output.with_name(f"{output.name}.errors.jsonl")


def _languages(given: str | Sequence[str] | None, spec: TaskSpec | None) -> tuple[str | None, ...]:
    languages: tuple[str | None, ...]
    languages = (given,) if given is None or isinstance(given, str) else tuple(given)
    if spec is not None:
        languages = tuple(None if one is None else input_language(spec, one) for one in languages)
    if not languages or len(set(languages)) < len(languages):
        raise UserError(f"found {list(languages)}", field="language", expected="each once")
    return languages


def _writes_boxes(spec: TaskSpec) -> bool:
    return any(spec.fields[name].kind == "box" for name in target_fields(spec))


def _image_field(spec: TaskSpec, source: Path) -> str | None:
    """What the images of a folder are given as; a refusal of a folder where nothing is."""
    kinds = {name: spec.fields[name].of_kind for name in source_fields(spec)}
    images = [kind for kind in KINDS.values() if kind.is_image]
    read = [name for kind in images for name in kinds if kinds[name] is kind]
    if not read and source.is_dir():
        raise UserError(
            f"is a folder, and the task {spec.task!r} reads no image",
            file=source,
            expected=f"a file of rows with {' and '.join(kinds)}",
        )
    return next(iter(read), None)


def _job(reader: _Reader, n: int) -> dict[str, Any]:
    """What must be the same for the answers that are there to be this call's."""
    predictor = reader.predictor
    specs = predictor.specs.values() if reader.spec is None else (reader.spec,)
    tasks = hashlib.sha256(repr([(s.text, s.choices) for s in specs]).encode()).hexdigest()
    return {
        "input": reader.rows.digest(),
        "tasks": tasks,
        "rows_name_their_task": reader.spec is None,
        "languages": list(reader.languages),
        "n": n,
        "generate": reader.generate,
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


def _take_up(file: IO[bytes], tally: Tally) -> None:
    """Count the whole rows in a file of answers.

    What a kill left of a row behind the last whole one is cut off; the file stands there.
    """
    whole = 0
    for line in file:
        try:
            answer = parse_json(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(answer, dict):
            break
        tally.add(answer)
        whole += len(line)
    file.seek(whole)
    file.truncate()


@dataclass(frozen=True, slots=True)
class _Asked:
    """One row in one language, or what is wrong with the row."""

    number: int
    values: Values | UserError
    language: str | None


class _Reader:
    """Turns rows into examples, of one task or of the one that each names.

    Args:
        predictor: the model.
        spec: the task of all rows, if there is one.
        source: their file, for messages.
        rows: what is in it.
        languages: one for rows that name none (perhaps no one), or several for all.
        carried: columns that go with the answers.
        pictures: where pictures that are written go.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        spec: TaskSpec | None,
        source: Path,
        rows: RowFile,
        languages: tuple[str | None, ...],
        carried: tuple[str, ...],
        pictures: PictureFolder,
    ) -> None:
        self.predictor = predictor
        self.spec = spec
        self.source = source
        self.rows = rows
        self.languages = languages
        self.carried = carried
        self.pictures = pictures
        self.generate: dict[str, Any] = {}
        self._builders: dict[TaskSpec, ExampleBuilder] = {}

    def asked(self, start: int) -> Iterator[_Asked]:
        """What to answer, from the place `start` on."""
        first, done = divmod(start, len(self.languages))
        for number, values in self.rows.rows(first):
            for language in self.languages[done:]:
                yield _Asked(number, values, language)
            done = 0

    def answer(
        self, asked: list[_Asked], start: int, batch_size: int, n: int
    ) -> Iterator[dict[str, Any]]:
        """A row of the output for each, the first at the place `start` of the output; keys are
        given back as they came."""
        inputs: list[tuple[TaskSpec, EncodedExample]] = []
        failures: dict[int, str] = {}
        carried: dict[int, dict[str, int]] = {}
        for place, one in enumerate(asked):
            try:
                if isinstance(one.values, UserError):
                    raise one.values
                carried[place] = carried_values(one.values, self.carried)
                inputs.append(self._encode(one.values, one))
            except UserError as error:
                if error.file is None:
                    error.file, error.line = str(self.source), one.number
                failures[place] = str(error)
        answers = self.predictor.predict_encoded(inputs, batch_size, n=n)
        for place, one in enumerate(asked):
            if place in failures:
                found = Prediction(None, None, None, error=failures[place])
            else:
                found = next(answers)
            row = self.pictures.row(start + place, replace(found, key=self._key(one.values)))
            if len(self.languages) > 1:
                row = {"key": row.pop("key"), "language": one.language, **row}
            given = {"generate": self.generate} if self.generate else {}
            yield row | given | carried.get(place, {})

    def _encode(self, values: Values, one: _Asked) -> tuple[TaskSpec, EncodedExample]:
        spec = self.spec or self._named(values.get("task"))
        if spec not in self._builders:
            self._builders[spec] = self.predictor.builder(spec, self.rows.root)
        language = values.get("language", one.language)
        named = language if language is None else input_language(spec, language)
        if len(self.languages) > 1 and named != input_language(spec, one.language):
            raise UserError(
                f"the row is in {language!r}", field="language", expected="none beside several"
            )
        row = input_row(spec, values, language, file=str(self.source), index=one.number - 1)
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
        return with_generate(known[name], self.generate)

    def _key(self, values: Values | UserError) -> str | None:
        """What a row is called: its `key`, or else what the spec's `key_column` says."""
        if isinstance(values, UserError):
            return None
        named = self.spec or self.predictor.specs.get(str(values.get("task")))
        column = None if named is None else named.data.key_column
        key = values.get("key", None if column is None else values.get(column))
        return None if key is None else str(key)
