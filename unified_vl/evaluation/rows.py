"""What each row adds to the scores of a report, in a file beside it.

`report.json` has `report.rows.npz`: arrays only, loaded without pickle. With it two reports
are compared row by row, and nothing is scored again.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.codecs.images import LoadedImage
from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.json_text import parse_json
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.statistics import RowStatistics

SUFFIX = ".rows.npz"


@dataclass(frozen=True)
class ScoredRows:
    """The rows of one task.

    Attributes:
        metrics: the metric's name of each score.
        keys: what each row is called.
        references: a digest of the right answers of each row.
        measured: the statistics of each score that follows from sums over rows.
    """

    metrics: Mapping[str, str]
    keys: Sequence[str]
    references: Sequence[str]
    measured: Mapping[str, RowStatistics]


def digest(references: Mapping[str, Sequence[Any]]) -> str:
    """A short text that differs where the right answers do."""
    said = [(name, tuple(map(_said, values))) for name, values in sorted(references.items())]
    return hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()


def _said(value: Any) -> Any:
    """A value whose text tells it from any other."""
    if isinstance(value, LoadedImage):  # the text of an array leaves out its middle
        return hashlib.sha256(value.pixels_HWC.tobytes()).hexdigest()
    return value


def rows_path(report: Path) -> Path:
    """Where the rows of a report are."""
    return report.with_name(report.stem + SUFFIX)


def write_rows(path: Path, tasks: Mapping[str, ScoredRows]) -> None:
    """Write the rows of every task of a report."""
    arrays: dict[str, Any] = {}
    index = []
    for number, (task, rows) in enumerate(tasks.items()):
        arrays[f"{number}.keys"] = np.asarray(rows.keys, dtype=np.str_)
        arrays[f"{number}.references"] = np.asarray(rows.references, dtype=np.str_)
        for place, measured in enumerate(rows.measured.values()):
            arrays[f"{number}.{place}.values"] = measured.values_NK
            arrays[f"{number}.{place}.groups"] = measured.groups_N
        scores = {label: rows.metrics[label] for label in rows.measured}
        alike = [label for label, measured in rows.measured.items() if measured.alike]
        index.append({"task": task, "scores": scores, "alike": alike})
    arrays["index"] = np.asarray(json.dumps(index, ensure_ascii=False))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_rows(path: Path) -> dict[str, ScoredRows]:
    """The rows of every task.

    Raises:
        UserError: when there is no such file, or it is something else.
    """
    if not path.is_file():
        raise UserError(
            "the rows of this report are missing",
            file=path,
            expected="the file that `evaluate --output` writes beside the report",
        )
    if not zipfile.is_zipfile(path):
        raise UserError("these are not the rows of a report", file=path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            index = parse_json(str(arrays["index"]))
            return {
                entry["task"]: _rows_of(arrays, number, entry["scores"], entry.get("alike", ()))
                for number, entry in enumerate(index)
            }
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"these are not the rows of a report: {error}", file=path) from error


def _rows_of(
    arrays: Mapping[str, Any], number: int, scores: Mapping[str, str], alike: Sequence[str]
) -> ScoredRows:
    measured = {}
    for place, (label, name) in enumerate(scores.items()):
        if name not in METRICS or METRICS[name].rows is None:
            raise ValueError(f"there is no metric {name!r} of rows")
        metric = METRICS[name]
        values, groups = arrays[f"{number}.{place}.values"], arrays[f"{number}.{place}.groups"]
        measured[label] = RowStatistics(values, metric.finish, groups, label in alike)
    keys, references = arrays[f"{number}.keys"], arrays[f"{number}.references"]
    return ScoredRows(scores, keys.tolist(), references.tolist(), measured)
