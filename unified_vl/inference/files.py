"""Prediction from a file of rows to a file of answers, which survives an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from unified_vl.errors import UserError
from unified_vl.files import read_json_object, write_atomically
from unified_vl.inference.answers import AnswerFormat, answer_format, write_errors
from unified_vl.inference.inputs import (
    chunks,
    input_language,
    source_fields,
    target_fields,
)
from unified_vl.inference.pictures import PictureFolder
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.row_answers import RowAnswers
from unified_vl.inference.rows import open_rows
from unified_vl.inference.tally import Tally
from unified_vl.inference.task_answers import CHUNK
from unified_vl.json_text import written_lines
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
    reader = RowAnswers(
        predictor, spec, Path(source), rows, languages, kind.carried, pictures, generate or {}
    )
    with only_writer(output):
        return _write(reader, output, kind, batch_size, n, progress, tally or Tally())


def _write(
    reader: RowAnswers,
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
    return any("boxes" in spec.fields[name].of_kind.row_types() for name in target_fields(spec))


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


def _job(reader: RowAnswers, n: int) -> dict[str, Any]:
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
    for line, answer in written_lines(file):
        if answer is None or not line.endswith(b"\n"):
            break
        tally.add(answer)
        whole += len(line)
    file.seek(whole)
    file.truncate()
