"""The tables of a report: by language, by other dimensions, of retrieval, of flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.evaluation.languages import Language, language_of
from unified_vl.evaluation.metric_names import pretty
from unified_vl.inference.prediction import FLAGS
from unified_vl.languages.tags import distinct, find
from unified_vl.metrics.retrieval import DEPTHS, DIRECTIONS, STAGES

WIDEST_BREAKDOWN = 16  # values of a dimension; more are a table, not a chart
GROUP_NOTES = {
    frozenset({"seen", "held_out"}): "Held out: combinations of a thing and a language that these "
    "tasks never trained on; only other tasks of the same model did."
}


def language_table(report: Mapping[str, Any]) -> dict[str, Any]:
    """A row a language, a column a task, the primary metric in each place."""
    tasks = report["tasks"]
    rows: list[tuple[Language, list[tuple[float, int] | None]]] = []
    tags = (tag for task in tasks.values() for tag in task["by"].get("language", {}))
    for tag in distinct(sorted(tags)):
        cells = []
        for task in tasks.values():
            by = task["by"].get("language", {})
            cell = by.get(find(tag, by) or "", {})
            known = task["primary"] in cell
            cells.append((cell[task["primary"]], cell["count"]) if known else None)
        rows.append((language_of(tag), cells))
    return {
        "columns": [(name, task["primary"]) for name, task in tasks.items()],
        "rows": rows,
        "totals": [
            (
                task["metrics"][task["primary"]],
                task.get("intervals", {}).get(task["primary"]),
                task["count"],
            )
            for task in tasks.values()
        ],
    }


def retrieval_table(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A row a language and one for all: each direction's recall, and its median rank."""
    if scores is None:
        return None

    def cells(of: Mapping[str, Any]) -> list[tuple[float, list[float], float]]:
        found = []
        for direction in DIRECTIONS:
            first, second = (of[direction][stage] for stage in STAGES)
            recalls = [second[f"recall_at_{k}"] for k in DEPTHS]
            found.append((first["recall_at_1"], recalls, second["median_rank"]))
        return found

    by = sorted(scores["by"]["language"].items())
    return {
        "split": scores.get("split", "test"),
        "images": scores["images"],
        "candidates": scores["candidates"],
        "directions": [direction.replace("_", " ") for direction in DIRECTIONS],
        "depths": DEPTHS,
        "rows": [(language_of(tag), cells(of)) for tag, of in by],
        "all": cells(scores["all"]),
    }


def breakdowns(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For every dimension but language the tasks that have it, with all their metrics."""
    dimensions: dict[str, list[dict[str, Any]]] = {}
    values_of: dict[str, set[str]] = {}
    for name, task in report["tasks"].items():
        for dimension, values in task["by"].items():
            if dimension == "language" or not 2 <= len(values) <= WIDEST_BREAKDOWN:
                continue
            ordered = sorted(values.items(), key=lambda item: (item[0] != "seen", item[0]))
            metrics = [
                (
                    metric,
                    [(v, cell[metric], cell["count"]) for v, cell in ordered if metric in cell],
                )
                for metric in task["metrics"]
            ]
            dimensions.setdefault(dimension, []).append({"name": name, "metrics": metrics})
            values_of.setdefault(dimension, set()).update(values)
    return [
        {
            "title": "Seen and held out" if note else f"By {pretty(dimension)}",
            "note": note,
            "tasks": tasks,
        }
        for dimension, tasks in dimensions.items()
        for note in [GROUP_NOTES.get(frozenset(values_of[dimension]))]
    ]


def flags_table(report: Mapping[str, Any]) -> dict[str, Any]:
    """A column for each flag that a task has answers with, a row a language with any.

    Reports of earlier versions have no flags, and no table.
    """
    tasks = report["tasks"]
    columns = [
        (name, flag, said)
        for name, task in tasks.items()
        for flag, said in FLAGS.items()
        if task.get("flags", {}).get(flag)
    ]
    rows: list[tuple[Language, list[float | None]]] = []
    shown = {name for name, _, _ in columns}
    tags = (tag for name in shown for tag in tasks[name]["flags_by"].get("language", {}))
    for tag in distinct(sorted(tags)):
        rates = []
        for name, flag, _ in columns:
            by = tasks[name]["flags_by"].get("language", {})
            rates.append(by.get(find(tag, by) or "", {}).get(flag))
        if any(rates):
            rows.append((language_of(tag), rates))
    totals = [tasks[name]["flags"][flag] for name, flag, _ in columns]
    return {"columns": columns, "rows": rows, "totals": totals}
