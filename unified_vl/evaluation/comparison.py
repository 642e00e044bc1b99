"""Two reports side by side: what differs, and whether that is luck of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.evaluation.results import read_report
from unified_vl.evaluation.robustness.beside import compare_suites
from unified_vl.evaluation.rows import ScoredRows, read_rows, rows_path
from unified_vl.metrics.intervals import RESAMPLES, compare
from unified_vl.metrics.registry import METRICS

SIGNIFICANT = 0.05


def compare_reports(a: Path, b: Path, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Compare the scores that two reports share, on the same rows.

    Args:
        a: a report, with its rows beside it.
        b: another one.
        resamples: how often rows are drawn, and how often answers are exchanged.

    Returns:
        `{"a": MODEL, "b": MODEL, "resamples", "only_in_a": [TASK], "only_in_b": [TASK],
        "tasks": {NAME: {"split", "count", "metrics": {METRIC: {"a", "b", "difference",
        "interval": [low, high], "p", "better"}}}}}`. `difference` is b - a; `better` is
        `a`, `b` or null where p is 0.05 or more; `interval` and `p` are null for a metric
        that has no rows. Where both reports have perturbed rows of a task it also has `suites`
        (`robustness.beside.compare_suites`).

    Raises:
        UserError: when a file is missing or broken, rows do not belong to their report, the
            reports share no task or no metric, or the rows or right answers of a task differ.
    """
    reports = [read_report(path) for path in (a, b)]
    rows = [_rows_of(path, report) for path, report in zip((a, b), reports, strict=True)]
    first, second = (report["tasks"] for report in reports)
    shared = [task for task in first if task in second]
    if not shared:
        raise UserError(
            "the reports have no task in common", file=b, expected=" or ".join(map(repr, first))
        )
    tasks = {}
    for task in shared:
        _require_same_rows(task, a, b, reports, rows)
        tasks[task] = {
            "split": first[task]["split"],
            "count": first[task]["count"],
            "metrics": _compare_task(
                task, first[task]["metrics"], second[task]["metrics"], rows, resamples
            ),
            **compare_suites(task, b, reports, rows, resamples),
        }
    if not any(task["metrics"] for task in tasks.values()):
        raise UserError("the reports have no metric in common", file=b)
    return {
        "a": reports[0]["model"],
        "b": reports[1]["model"],
        "resamples": resamples,
        "only_in_a": [task for task in first if task not in second],
        "only_in_b": [task for task in second if task not in first],
        "tasks": tasks,
    }


def _rows_of(path: Path, report: Mapping[str, Any]) -> dict[str, ScoredRows]:
    """The rows beside a report, which must give its scores."""
    file = rows_path(path)
    rows = read_rows(file)
    for name, task in report["tasks"].items():
        metrics = task["metrics"]
        known = rows.get(name)
        same = known is not None and all(
            label in metrics and abs(each.score() - metrics[label]) < 1e-3
            for label, each in known.measured.items()
        )
        if not same:
            raise UserError(
                f"these are the rows of another report than {str(path)!r}",
                file=file,
                field=name,
                expected="the file that was written with it",
            )
    return rows


def _require_same_rows(
    task: str, a: Path, b: Path, reports: list[dict[str, Any]], rows: list[dict[str, ScoredRows]]
) -> None:
    splits = [report["tasks"][task]["split"] for report in reports]
    if splits[0] != splits[1]:
        raise UserError(
            f"it is scored on the split {splits[1]!r}, and in {str(a)!r} on {splits[0]!r}",
            file=b,
            field=task,
            expected="reports of the same rows",
        )
    first, second = (each[task] for each in rows)
    if len(first.keys) != len(second.keys):
        raise UserError(
            f"it has {len(second.keys)} rows, and in {str(a)!r} {len(first.keys)}",
            file=b,
            field=task,
            expected="reports of the same rows",
        )
    for place, (one, other) in enumerate(zip(first.keys, second.keys, strict=True)):
        if one != other:
            raise UserError(
                f"its row {place + 1} is {other!r}, and in {str(a)!r} {one!r}",
                file=b,
                field=task,
                expected="reports of the same rows in the same order",
            )
        if first.references[place] != second.references[place]:
            raise UserError(
                f"the row {one!r} has other right answers than in {str(a)!r}",
                file=b,
                field=task,
                expected="reports of the same data and spec",
            )


def _compare_task(
    task: str,
    first: Mapping[str, float],
    second: Mapping[str, float],
    rows: list[dict[str, ScoredRows]],
    resamples: int,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    one, other = (each[task].measured for each in rows)
    for label in first:
        if label not in second:
            continue
        entry: dict[str, Any] = {
            "a": first[label],
            "b": second[label],
            "difference": round(second[label] - first[label], 4),
            "interval": None,
            "p": None,
            "better": None,
        }
        if label in one and label in other:
            result = compare(one[label], other[label], resamples)
            entry |= {"interval": [result.low, result.high], "p": round(result.p, 6)}
            if result.p < SIGNIFICANT:
                higher = METRICS[rows[0][task].metrics[label]].higher_is_better
                entry["better"] = "b" if (result.b > result.a) == higher else "a"
        found[label] = entry
    return found
