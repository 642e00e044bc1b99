"""`unified-vl schedule`: who trains when, without a model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 8  # stretches of equal rounds
WIDTH = 40  # of a bar for a share of 100 %


def schedule(
    mixture: Annotated[Path, typer.Argument(help="The mixture file.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to simulate.")] = 100,
    data: Annotated[
        Path | None, typer.Option(help="The data root; needed where shares go by rows.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The run's seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate a mixture's schedule: the updates of each task, and the order of the rounds."""
    from rich.console import Console

    from unified_vl.data.sources import TaskData
    from unified_vl.errors import UserError
    from unified_vl.specs.load import load_mixture
    from unified_vl.training.schedule import make_schedule

    loaded = load_mixture(mixture)
    rows: dict[str, int] = {}
    if loaded.schedule.by == "rows":
        if data is None:
            raise UserError("its shares go by rows", file=mixture, expected="--data")
        rows = {spec.task: len(TaskData(spec, "train", data)) for spec in loaded.specs}
    simulated = [make_schedule(loaded, rows, seed).round(number) for number in range(rounds)]
    updates = Counter(task for steps in simulated for task in steps)
    if as_json:
        counts = {spec.task: updates[spec.task] for spec in loaded.specs}
        print(json.dumps({"updates": counts, "rounds": simulated}))
        return
    console = Console(highlight=False)
    console.print(_table({spec.task: updates[spec.task] for spec in loaded.specs}))
    for first, last, steps in _stretches(simulated)[:SHOWN]:
        numbers = f"round {first}" if first == last else f"rounds {first}-{last}"
        console.print(f"{numbers}: {' '.join(steps)}", markup=False, soft_wrap=True)


def _table(updates: Mapping[str, int]) -> Table:
    from rich.table import Table

    table = Table("task", box=None)
    for heading in ("updates", "share"):
        table.add_column(heading, justify="right")
    table.add_column()
    total = sum(updates.values())
    for task, count in updates.items():
        share = count / total
        table.add_row(task, str(count), f"{100 * share:.1f} %", "█" * round(WIDTH * share))
    return table


def _stretches(rounds: Sequence[tuple[str, ...]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """First round, last round and steps of every stretch of equal rounds."""
    stretches = []
    first = 0
    for steps, group in groupby(rounds):
        length = len(list(group))
        stretches.append((first, first + length - 1, steps))
        first += length
    return stretches
