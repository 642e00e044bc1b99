"""`unified-vl schedule`: who trains when, without a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unified_vl.training.simulation import Simulation

SHOWN = 8  # stretches of equal rounds
WIDTH = 40  # characters of a task's time line
SHADES = " ░▒▓█"  # from no round to every round of a character's stretch


def schedule(
    mixture: Annotated[Path, typer.Argument(help="The mixture file.")],
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help="Rounds to simulate.")] = 100,
    data: Annotated[
        Path | None, typer.Option(help="The data root; needed where shares go by rows.")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="A run's events.jsonl: stop-and-go by its scores, not made-up ones."),
    ] = None,
    half_life: Annotated[
        float,
        typer.Option(
            min=0.01, max=1e9, help="Made-up scores: batches that close half of what is missing."
        ),
    ] = 20.0,
    score_every: Annotated[
        int, typer.Option(min=1, max=100_000, help="Rounds between two scorings.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The run's seed.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw who trains when into this file (.svg, .png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate a mixture's schedule: each task's batches, its rests, the order of the rounds."""
    from rich.console import Console

    from unified_vl.data.rows.sources import TaskData
    from unified_vl.data.shards.sharded_rows import refuse_streamed
    from unified_vl.errors import UserError
    from unified_vl.specs.load import load_mixture
    from unified_vl.training.schedules.registry import make_schedule
    from unified_vl.training.simulation import recorded_scores, simulate, synthetic_scores

    loaded = load_mixture(mixture)
    rows: dict[str, int] = {}
    if loaded.schedule.by == "rows":
        if data is None:
            raise UserError("its shares go by rows", file=mixture, expected="--data")
        for spec in loaded.specs:
            refuse_streamed(spec, "the shares go by rows, and nobody counts these", "by: batches")
        rows = {spec.task: len(TaskData(spec, "train", data)) for spec in loaded.specs}
    score_of = synthetic_scores(half_life) if scores is None else recorded_scores(scores)
    made = make_schedule(loaded, rows, seed)
    simulated = simulate(made, rounds, score_of, score_every)
    tasks = [spec.task for spec in loaded.specs]
    if plot is not None:
        from unified_vl.evaluation.reporting.charts import draw_timeline

        draw_timeline(tasks, simulated.rounds, plot)
    if as_json:
        print(json.dumps(_as_json(tasks, simulated)))
        return
    console = Console(highlight=False)
    console.print(_table(tasks, simulated))
    for first, last, steps in _stretches(simulated.rounds)[:SHOWN]:
        numbers = f"round {first}" if first == last else f"rounds {first}-{last}"
        console.print(f"{numbers}: {' '.join(steps) or '-'}", markup=False, soft_wrap=True)
    for number, told in simulated.transitions:
        line = f"after round {number}: {told.task} {told.state} ({told.reason})"
        console.print(line, markup=False, soft_wrap=True)


def _as_json(tasks: Sequence[str], simulated: Simulation) -> dict[str, object]:
    return {
        "updates": {task: simulated.updates[task] for task in tasks},
        "rounds": simulated.rounds,
        "transitions": [
            {"round": number, "task": told.task, "state": told.state, "reason": told.reason}
            for number, told in simulated.transitions
        ],
    }


def _table(tasks: Sequence[str], simulated: Simulation) -> Table:
    from rich.table import Table

    table = Table(box=None)
    table.add_column("task", no_wrap=True)
    for heading in ("batches", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("rounds", no_wrap=True)
    updates = simulated.updates
    for task in tasks:
        share = 100 * updates[task] / updates.total()
        line = _timeline(task, simulated.rounds)
        table.add_row(task, str(updates[task]), f"{share:.1f} %", line)
    return table


def _timeline(task: str, rounds: Sequence[tuple[str, ...]]) -> str:
    """A character a stretch of rounds, the darker the more of them the task trains in."""
    width = min(WIDTH, len(rounds))
    line = ""
    for place in range(width):
        stretch = rounds[place * len(rounds) // width : (place + 1) * len(rounds) // width]
        trained = sum(task in tasks for tasks in stretch)
        line += SHADES[-(-trained * (len(SHADES) - 1) // len(stretch))]
    return line


def _stretches(rounds: Sequence[tuple[str, ...]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """First round, last round and steps of every stretch of equal rounds."""
    stretches = []
    first = 0
    for steps, group in groupby(rounds):
        length = len(list(group))
        stretches.append((first, first + length - 1, steps))
        first += length
    return stretches
