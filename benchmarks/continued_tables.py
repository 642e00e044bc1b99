"""The tables of `continue_training.py`: what each way of learning a new task reached, and when."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from continued_tasks import KEPT, NEW, OLD
from record import machine, record

COMMAND = "python benchmarks/continue_training.py"
NOTHING, LONGER = "nothing", "nothing, longer"
Curve = Sequence[Sequence[float]]
"""(updates, score) of each scoring."""


def mean_curve(curves: Sequence[Curve]) -> list[tuple[int, float]]:
    """Means over the curves, scoring by scoring: stop-and-go's come after updates of its own."""
    return [
        (round(statistics.mean(at for at, _ in points)), statistics.mean(s for _, s in points))
        for points in zip(*curves, strict=True)
    ]


def updates_until(curve: Curve, level: float) -> str:
    """The first scoring at which a curve reaches a level."""
    found = next((int(at) for at, score in curve if score >= level), None)
    return f"> {int(curve[-1][0])}" if found is None else str(found)


def spread(values: Iterable[float]) -> str:
    """Mean, and standard deviation where there are several."""
    numbers = list(values)
    mean = f"{statistics.mean(numbers):.1f}"
    return mean if len(numbers) == 1 else f"{mean} ± {statistics.stdev(numbers):.1f}"


def tell(
    results: Sequence[Mapping[str, Any]],
    before: Mapping[str, float],
    given: argparse.Namespace,
    steps: str,
    emoji: int,
) -> None:
    """Record both tables; `results` has the cell of each training and what came of it."""
    groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for result in results:
        cell = result["cell"]
        groups.setdefault((cell.task, cell.arm, cell.rows), []).append(result)
    ordered = sorted(groups, key=lambda key: NEW.index(key[0]))  # stable: arms as they came

    def ends(arm: str) -> str:
        """How long training from nothing is, in words."""
        rows, results = next((key[2], groups[key]) for key in groups if key[1] == arm)
        return f"{results[0]['curve'][-1][0]} updates on {rows} rows"

    section = f"""# Starting from a trained model

`{COMMAND} --updates {given.updates} --seeds {given.seeds} --scored {given.scored}` on {machine()}:
from Emoji World's demo after {steps} steps. Updates of 8 rows, in the longest training of 32; with
old tasks kept ({" and ".join(KEPT)}), as many again go to these. Exact match in percent of
{given.scored} test rows, mean ± standard deviation over the seeds; old tasks by their primary
metric, before:
{", ".join(f"{task} {before[task]}" for task in OLD)}.
The other art is that of {given.vendor}, which has {emoji} of the world's emoji; before any update
the demo names {before["other_art"]} % of these pictures rightly.

| new task | started from | rows | updates | seeds | new task | {" | ".join(OLD)} |
| --- | --- | --: | --: | --: | --: |{" --: |" * len(OLD)}
{"".join(_reached(key, groups[key]) for key in ordered)}
How soon: exact match in percent of 64 validation rows after so many updates of the new task (mean
over the seeds), and the first scoring at which it is what training from nothing reaches at its end:
in {ends(NOTHING)}, and in {ends(LONGER)}.

| new task | started from | rows | after updates: exact match | as from nothing | as from longer |
| --- | --- | --: | --- | --: | --: |
{"".join(_soon(key, groups) for key in ordered)}"""
    print(section)
    record(
        section,
        [
            {
                "command": COMMAND,
                **asdict(each["cell"]),
                "curve": " ".join(f"{int(at)}:{score}" for at, score in each["curve"]),
                **{f"test {task}": score for task, score in each["test"].items()},
            }
            for each in results
        ],
    )


def _reached(key: tuple[str, str, int], results: Sequence[Mapping[str, Any]]) -> str:
    task, arm, rows = key
    new = spread(each["test"][task] for each in results)
    updates = round(statistics.mean(each["updates"][task] for each in results))
    known = [name for name in OLD if name in results[0]["test"]]
    olds = [spread(each["test"][name] for each in results) for name in known] or [""] * len(OLD)
    cells = [task, arm, str(rows), str(updates), str(len(results)), new, *olds]
    return f"| {' | '.join(cells)} |\n"


def _soon(key: tuple[str, str, int], groups: Mapping[tuple[str, str, int], Any]) -> str:
    task, arm, rows = key
    curve = mean_curve([each["curve"] for each in groups[key]])
    shown = ", ".join(f"{at}: {score:.0f}" for at, score in curve)
    cells = [task, arm, str(rows), shown]
    for other in (NOTHING, LONGER):
        ends = [
            mean_curve([each["curve"] for each in results])[-1][1]
            for (name, side, _), results in groups.items()
            if (name, side) == (task, other)
        ]
        cells.append("" if arm in (NOTHING, LONGER) else updates_until(curve, ends[0]))
    return f"| {' | '.join(cells)} |\n"
