"""What may be amiss with answers, as a table of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.evaluation.languages import Language, language_of
from unified_vl.inference.prediction import FLAGS
from unified_vl.specs.languages import distinct, find


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
