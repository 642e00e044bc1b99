"""What perturbations did to the scores, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.evaluation.languages import language_of


def robustness(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """By task a row a suite and perturbation and a column a severity, and a row a language and a
    column a suite, each with the change of the primary score; None of a report without."""
    if not report.get("suites"):
        return None
    tasks = {name: task for name, task in report["tasks"].items() if task.get("perturbed")}
    most = max(
        int(level)
        for task in tasks.values()
        for each in task["perturbed"].values()
        for level in each["severities"]
    )
    levels = [str(level) for level in range(1, most + 1)]
    return {
        "suites": list(report["suites"].items()),
        "levels": levels,
        "tasks": [_task(name, task, levels) for name, task in tasks.items()],
    }


def _task(name: str, task: Mapping[str, Any], levels: list[str]) -> dict[str, Any]:
    primary = task["primary"]
    rows = []
    for suite, mean in task["suites"].items():
        rows.append({"name": suite, "mean": mean, "cells": [None] * len(levels), "probe": False})
        for each, found in task["perturbed"].items():
            if found["suite"] == suite:
                cells = [_cell(found["severities"].get(level), primary) for level in levels]
                rows.append({"name": each, "mean": None, "cells": cells, "probe": found["probe"]})
    by = {suite: mean["by"]["language"] for suite, mean in task["suites"].items()}
    tags = sorted({tag for values in by.values() for tag in values})
    return {
        "name": name,
        "metric": primary,
        "rows": rows,
        "suites": list(by),
        "languages": [
            (language_of(tag), [values.get(tag, {}).get("difference") for values in by.values()])
            for tag in tags
        ]
        if len(tags) > 1
        else [],
        "without": list(task["not_perturbed"].items()),
    }


def _cell(cell: Mapping[str, Any] | None, primary: str) -> dict[str, Any] | None:
    if cell is None:
        return None
    return {
        "difference": cell["difference"][primary],
        "interval": cell["intervals"].get(primary),
        "score": cell["metrics"][primary],
        "count": cell["count"],
    }
