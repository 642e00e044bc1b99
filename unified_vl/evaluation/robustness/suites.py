"""Means over the perturbations of a suite, and over the tasks that have it.

R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unified_vl.metrics.intervals import ends
from unified_vl.metrics.statistics import Floats

KEYS = ("clean", "score", "difference")


def mean_of_cells(
    primary: str, cells: Sequence[Mapping[str, Any]], drawn_R: Floats | None
) -> dict[str, Any]:
    """The primary score of a task, in the mean over all perturbations and severities of a suite.

    Args:
        primary: its label.
        cells: their parts of the report.
        drawn_R: resamples of the mean difference; None where there are none.
    """
    tags = dict.fromkeys(tag for cell in cells for tag in cell["by"]["language"])
    parts = {
        tag: [cell["by"]["language"][tag] for cell in cells if tag in cell["by"]["language"]]
        for tag in sorted(tags)
    }
    values = [
        {"clean": c["clean"][primary], "score": c["metrics"][primary]}
        | {"difference": c["difference"][primary]}
        for c in cells
    ]
    return {
        "cells": len(cells),
        **_means(values),
        "interval": _interval(drawn_R),
        "by": {"language": {tag: _means(each) for tag, each in parts.items()}},
    }


def mean_of_tasks(
    tasks: Mapping[str, Mapping[str, Any]], draws: Mapping[str, Mapping[str, Floats]]
) -> dict[str, Any]:
    """By suite, the mean over the tasks that it was done to: `{"tasks": [NAME], "clean", "score",
    "difference", "interval"}`, each task counting the same.

    Args:
        tasks: their parts of the report.
        draws: by suite and task, resamples of the difference, independent of each other.
    """
    found: dict[str, Any] = {}
    for suite in dict.fromkeys(s for task in tasks.values() for s in task["suites"]):
        of_tasks = {name: task["suites"] for name, task in tasks.items()}
        having = {name: means[suite] for name, means in of_tasks.items() if suite in means}
        drawn = list(draws.get(suite, {}).values())
        known = len(drawn) == len(having)
        found[suite] = {
            "tasks": list(having),
            **_means(list(having.values())),
            "interval": _interval(np.mean(drawn, axis=0) if known else None),
        }
    return found


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: round(float(np.mean([each[key] for each in values])), 4) for key in KEYS}


def _interval(drawn_R: Floats | None) -> list[float] | None:
    if drawn_R is None or not np.isfinite(drawn_R).any():
        return None
    return list(ends(drawn_R))
