"""What the page tells of the tasks' gradients: a matrix, curves and layers of their cosines."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from markupsafe import Markup

from unified_vl.evaluation.reporting.charts import Points, columns, thinned
from unified_vl.evaluation.reporting.svg import ACCENT, LINE, SOFT, inline, small_chart
from unified_vl.run_record import ALL_WEIGHTS, GradientsEvent, event_of


def conflicts(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the page draws; None where nothing was measured, or of one task only.

    Returns:
        `tasks`; `count` of measurements; `matrix`, a row a task of mean cosines of the whole model
        (None where there is none); `curves`, by task; and `layers`, for each group of weights the
        mean cosine of all pairs, and the pair that is most in conflict with its mean.
    """
    measured = [each for each in map(event_of, events) if isinstance(each, GradientsEvent)]
    measured = [each for each in measured if len(each.tasks) > 1 and _is_whole(each)]
    if not measured:
        return None
    tasks = list(measured[-1].tasks)
    measured = [each for each in measured if list(each.tasks) == tasks]
    return {
        "tasks": tasks,
        "count": len(measured),
        "matrix": [
            (task, [_mean(_pair(measured, ALL_WEIGHTS, i, j)) for j in range(len(tasks))])
            for i, task in enumerate(tasks)
        ],
        "curves": [_curve(measured, number) for number in range(len(tasks))],
        "layers": [
            _layer(measured, group) for group in measured[-1].cosines if group != ALL_WEIGHTS
        ],
    }


def _is_whole(event: GradientsEvent) -> bool:
    """Whether a line, which anyone may have written, has a square for each group."""
    size = len(event.tasks)
    return ALL_WEIGHTS in event.cosines and all(
        len(square) == size and all(len(row) == size for row in square)
        for square in event.cosines.values()
    )


def _pair(events: Sequence[GradientsEvent], group: str, i: int, j: int) -> list[float]:
    found = (each.cosines[group][i][j] for each in events if group in each.cosines)
    return [value for value in found if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _layer(events: Sequence[GradientsEvent], group: str) -> dict[str, Any]:
    tasks = events[-1].tasks
    means = {
        (tasks[i], tasks[j]): _mean(_pair(events, group, i, j))
        for i, j in combinations(range(len(tasks)), 2)
    }
    known = {pair: value for pair, value in means.items() if value is not None}
    worst = min(known, key=lambda pair: known[pair], default=None)
    return {
        "name": group,
        "mean": _mean(list(known.values())),
        "worst": None if worst is None else (*worst, known[worst]),
    }


def _curve(events: Sequence[GradientsEvent], number: int) -> dict[str, Any]:
    """A task's cosine with the others over the steps, and its norm."""
    task, last = events[-1].tasks[number], events[-1].step
    mean: Points = []
    low: Points = []
    high: Points = []
    norms: Points = []
    for event in events:
        row = event.cosines[ALL_WEIGHTS][number]
        others = [v for at, v in enumerate(row) if at != number and v is not None]
        if others:
            mean.append((event.step, statistics.fmean(others)))
            low.append((event.step, min(others)))
            high.append((event.step, max(others)))
        if (norm := event.norms[ALL_WEIGHTS][number]) is not None:
            norms.append((event.step, norm))
    with small_chart(f"gradients of {task}", last) as (figure, axes):
        steps, lowest = columns(thinned(low))
        axes.fill_between(steps, lowest, columns(thinned(high))[1], color=LINE, linewidth=0)
        axes.axhline(0, color=SOFT, linewidth=0.8)
        axes.plot(*columns(thinned(mean)), color=ACCENT, linewidth=1.6, marker=".", clip_on=False)
        axes.set_ylim(-1, 1)
        norm_axes = axes.twinx()
        norm_axes.plot(*columns(thinned(norms)), color=SOFT, linewidth=1.2, linestyle=":")
        norm_axes.set_ylim(bottom=0)
        norm_axes.axis("off")
        drawn = inline(figure, f"Cosine of the gradient of {task} with the others")
    return {
        "task": task,
        "svg": Markup(drawn),
        "norms": (norms[0][1], norms[-1][1]) if norms else None,
    }
