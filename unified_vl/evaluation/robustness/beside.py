"""Two models' scores of the same perturbed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.errors import UserError
from unified_vl.evaluation.rows import ScoredRows
from unified_vl.metrics.intervals import differences, ends
from unified_vl.metrics.statistics import RowStatistics

Pair = tuple[RowStatistics, RowStatistics]


def compare_suites(
    task: str,
    b: Path,
    reports: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, ScoredRows]],
    resamples: int,
) -> dict[str, Any]:
    """The primary score of a task in the mean of what both reports have of a suite.

    Args:
        task: the task, whose clean rows are the same.
        b: where the second report is.
        reports: both.
        rows: theirs.
        resamples: how often rows are drawn, the same for all perturbations.

    Returns:
        `{"suites": {SUITE: {"cells", "a", "b", "difference", "interval"}}}`: of how many
        perturbations and severities, the means of both, b - a, and its 95 % interval. Only rows
        that were changed in both count. Nothing where they share no perturbation.

    Raises:
        UserError: when the perturbations are of other seeds.
    """
    first, second = (report["tasks"][task] for report in reports)
    if not first.get("perturbed") or not second.get("perturbed"):
        return {}
    seeds = [report["perturbation"]["seed"] for report in reports]
    if seeds[0] != seeds[1]:
        raise UserError(
            f"its rows are perturbed by the seed {seeds[1]}, and in the other report by {seeds[0]}",
            file=b,
            field=task,
            expected="reports of one --perturb-seed",
        )
    suites: dict[str, list[Pair]] = {}
    for name, each in first["perturbed"].items():
        for level in each["severities"]:
            pair = _pair(f"{task} {name}:{level}", first["primary"], rows)
            if pair is not None:
                suites.setdefault(each["suite"], []).append(pair)
    return {"suites": {suite: _mean(pairs, resamples) for suite, pairs in suites.items()}}


def _pair(cell: str, label: str, rows: Sequence[Mapping[str, ScoredRows]]) -> Pair | None:
    """A score of a perturbation in both reports, of the rows that count in both."""
    known = [each[cell].measured.get(label) for each in rows if cell in each]
    if len(known) < 2 or known[0] is None or known[1] is None:
        return None
    counts_N = (known[0].groups_N >= 0) & (known[1].groups_N >= 0)
    if not counts_N.any():
        return None
    one, other = (_only(each, counts_N) for each in (known[0], known[1]))
    return one, other


def _only(each: RowStatistics, counts_N: np.ndarray[Any, np.dtype[np.bool_]]) -> RowStatistics:
    groups_N = np.where(counts_N, each.groups_N, -1)
    return RowStatistics(each.values_NK, each.finish, groups_N, each.alike)


def _mean(pairs: Sequence[Pair], resamples: int) -> dict[str, Any]:
    a, b = (float(np.mean([pair[at].score() for pair in pairs])) for at in (0, 1))
    return {
        "cells": len(pairs),
        "a": round(a, 4),
        "b": round(b, 4),
        "difference": round(b - a, 4),
        "interval": list(ends(differences(pairs, resamples))),
    }
