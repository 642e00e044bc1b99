"""The files of a run that hold its scores, its answers and its course.

report.json         the scores of `evaluate`
report.rows.npz     what each row adds to them, for `compare`
predictions.jsonl   every answer that they were made from
predictions.images/ the pictures among the answers
retrieval.json      recall and ranks of `evaluate-retrieval`, where they were computed
events.jsonl        losses and events of the training
model/              the saved model
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from PIL.Image import Image
from safetensors import SafetensorError, safe_open

from unified_vl.errors import UserError
from unified_vl.evaluation.rows import ScoredRows, rows_path, write_rows
from unified_vl.files import check_writable, read_json_object, write_atomically
from unified_vl.inference.pictures import PictureFolder
from unified_vl.json_text import json_lines, parse_json, written_lines
from unified_vl.locks import only_writer
from unified_vl.run_record import ADAPTER, FACTS, MODEL, WEIGHTS

KEYS_OF_TASK = frozenset({"split", "count", "primary", "metrics", "by"})
KEYS_OF_PREDICTION = frozenset(
    {"key", "task", "language", "inputs", "input_languages", "image", "image_size"}
    | {"prediction", "references", "boxes", "score", "correct"}
)


class Evaluation(NamedTuple):
    """The scores of a model, its answers, what each row adds to the scores, the pictures of
    answers by their place, and those that were to be completed."""

    report: dict[str, Any]
    predictions: list[dict[str, Any]]
    rows: dict[str, ScoredRows]
    images: Mapping[int, Sequence[Image]] = MappingProxyType({})
    given: Mapping[int, Image] = MappingProxyType({})


def write_results(
    evaluation: Evaluation, report_path: Path | None, predictions_path: Path | None
) -> None:
    """Write `report.json` with its rows, and `predictions.jsonl` with the pictures of answers in a
    folder beside it (`images` of a row, `given` what of a picture was known), where a path is
    given."""
    report, predictions, rows, images, given = evaluation
    if report_path:
        write_rows(rows_path(report_path), rows)
        write_json(report_path, report)
    if predictions_path:
        folder = PictureFolder(predictions_path)
        folder.clear()
        named = [
            row
            | folder.put_given(place, given.get(place))
            | folder.put(place, images.get(place, ()))
            for place, row in enumerate(predictions)
        ]
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in named)
        write_atomically(predictions_path, "".join(lines))


def check_outputs(report_path: Path | None, predictions_path: Path | None) -> None:
    """That `write_results` can write there, before hours are spent.

    Raises:
        UserError: for a path that cannot be written, or answers in another format than JSONL.
    """
    if predictions_path and predictions_path.suffix.lower() != ".jsonl":
        raise UserError(
            "answers of `evaluate` are JSON lines",
            file=predictions_path,
            expected="a file ending in .jsonl",
        )
    for path in (report_path, predictions_path):
        if path:
            check_writable(path)


@contextmanager
def only_writer_of(*paths: Path | None) -> Iterator[None]:
    """Be the only process that writes these files, which can be written, while inside.

    Raises:
        UserError: at once, not after hours: another process writes one, or nobody can.
    """
    with ExitStack() as locks:
        for path in paths:
            if path is not None:
                check_writable(path)
                locks.enter_context(only_writer(path))
        yield


def write_json(path: Path, scores: dict[str, Any]) -> None:
    """Write scores as people read JSON."""
    write_atomically(path, json.dumps(scores, ensure_ascii=False, indent=1) + "\n")


def read_retrieval(path: Path) -> dict[str, Any] | None:
    """What `evaluate-retrieval` found; None without a file.

    Raises:
        UserError: when the file is something else.
    """
    if not path.is_file():
        return None
    scores = read_json_object(path)
    if not {"images", "candidates", "all", "by"} <= set(scores):
        raise UserError("these are no scores of a retrieval", file=path)
    return scores


def read_report(path: Path) -> dict[str, Any]:
    """The report that `evaluate` gave.

    Raises:
        UserError: when there is none, or the file is something else.
    """
    if not path.is_file():
        expected = _written_by("--output", path)
        raise UserError("there is no report here", file=path, expected=expected)
    expected = "what unified-vl evaluate --output writes, a JSON file"
    try:
        report = parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:  # where JSON's reader stumbled is of no help here
        raise UserError("this is not a report", file=path, expected=expected) from error
    except ValueError as error:
        raise UserError(f"this is not a report: {error}", file=path, expected=expected) from error
    if not isinstance(report, dict):
        raise UserError("this is not a report", file=path, expected=expected)
    if missing := {"model", "version", "seconds", "tasks"} - set(report):
        raise UserError(
            f"this is not a report: it has no {min(missing)!r}", file=path, expected=expected
        )
    tasks = report["tasks"]
    for name, task in tasks.items() if isinstance(tasks, dict) else [("tasks", tasks)]:
        if not isinstance(task, dict) or not set(task) >= KEYS_OF_TASK:
            expected = f"an object with {', '.join(sorted(KEYS_OF_TASK))}"
            raise UserError("this is not a report", file=path, field=name, expected=expected)
    return report


def _written_by(option: str, path: Path) -> str:
    """The command that would write a file of a run: training alone does not."""
    model = path.parent / MODEL
    shown = model if model.is_dir() else "MODEL"
    return f"it after: unified-vl evaluate {shown} --data DATA {option} {path}"


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """The answers behind a report.

    Raises:
        UserError: when there are none, or a line is not what `evaluate` writes.
    """
    if not path.is_file():
        expected = _written_by("--predictions", path)
        raise UserError("there are no predictions here", file=path, expected=expected)
    rows = list(json_lines(path))
    for number, row in rows:
        missing = KEYS_OF_PREDICTION - (set(row) if isinstance(row, dict) else set())
        if missing:
            raise UserError(
                "this is not a prediction",
                file=path,
                line=number,
                field=min(missing),
                expected="this key",
            )
    return [row for _, row in rows]


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a run, without broken lines such as the last of one that was killed; []
    without a file."""
    lines = path.read_bytes().split(b"\n") if path.is_file() else ()
    events = (event for _, event in written_lines(lines))
    return [event for event in events if event is not None and "event" in event]


def read_facts(model: Path) -> dict[str, Any]:
    """What a saved model tells of its training, and `parameters`, its number of weights.

    A report can be made where the model is no more: what cannot be read is left out.
    """
    facts: dict[str, Any] = {}
    try:
        facts |= parse_json((model / FACTS).read_text(encoding="utf-8"))
        if (model / ADAPTER).is_file():
            from unified_vl.inference.saved_models.adapter import count_weights  # loads torch

            return facts | {"parameters": count_weights(model)}
        with safe_open(model / WEIGHTS, framework="np") as weights:
            names = weights.keys()
            shapes = [weights.get_slice(name).get_shape() for name in names]
        facts["parameters"] = sum(math.prod(shape) for shape in shapes)
    except (OSError, ValueError, SafetensorError, UserError):
        return facts
    return facts
