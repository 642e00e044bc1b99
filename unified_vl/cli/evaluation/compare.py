"""`unified-vl compare`: two reports side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unified_vl.cli.evaluation.tables import add_names, fits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NUMBERS = ("rows", "A", "B", "B - A", "95 %", "p", "better")
LEFT_OUT = ("p", "better", "95 %")  # where there is no room for all: first, second, third


def compare(
    a: Annotated[Path, typer.Argument(help="The report that `evaluate --output` wrote.")],
    b: Annotated[Path, typer.Argument(help="The report of another model on the same rows.")],
    resamples: Annotated[
        int,
        typer.Option(min=100, max=100_000, help="How often rows are drawn and answers exchanged."),
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two reports row by row: the differences, and whether they are luck.

    Needs what `evaluate --output` writes beside a report (REPORT.rows.npz).
    """
    from rich.console import Console

    from unified_vl.errors import visible
    from unified_vl.evaluation.comparison import compare_reports

    found = compare_reports(a, b, resamples)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False)
    table, left_out = fitting_table(found, console)
    console.print(table)
    if left_out:
        said = " and ".join(left_out)
        typer.echo(f"note: no room for {said} here; --json has them", err=True)
    for key, name in (("only_in_a", a), ("only_in_b", b)):
        if found[key]:
            print(visible(f"only in {name}: {', '.join(found[key])}"))


def fitting_table(found: dict[str, Any], console: Console) -> tuple[Table, list[str]]:
    """The comparison, and the columns that a console has no room for."""
    for count in range(len(LEFT_OUT) + 1):
        table = _table(found, LEFT_OUT[:count])
        if fits(table, console):
            break
    return table, list(LEFT_OUT[:count])


def _table(found: dict[str, Any], left_out: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(
        title=f"A: {found['a']}   B: {found['b']}",
        caption="B - A with its 95 % interval (paired bootstrap); p by approximate "
        f"randomisation; {found['resamples']} resamples",
    )
    metrics = [metric for scores in found["tasks"].values() for metric in scores["metrics"]]
    metrics += [
        _perturbed(s) for scores in found["tasks"].values() for s in scores.get("suites", ())
    ]
    add_names(table, {"task": found["tasks"], "metric": metrics})
    shown = [heading for heading in NUMBERS if heading not in left_out]
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=True)  # only names fold
    for task, scores in found["tasks"].items():
        for metric, score in scores["metrics"].items():
            low_high, p = score["interval"], score["p"]
            cells = (
                str(scores["count"]),
                f"{score['a']:.1f}",
                f"{score['b']:.1f}",
                f"{score['difference']:+.1f}",
                "" if low_high is None else f"{low_high[0]:+.1f} to {low_high[1]:+.1f}",
                "" if p is None else f"{p:.3f}",
                (score["better"] or "").upper(),
            )
            by_heading = dict(zip(NUMBERS, cells, strict=True))
            table.add_row(task, metric, *(by_heading[heading] for heading in shown))
        for suite, mean in scores.get("suites", {}).items():
            low_high = mean["interval"]
            cells = (
                "",
                f"{mean['a']:.1f}",
                f"{mean['b']:.1f}",
                f"{mean['difference']:+.1f}",
                "" if low_high is None else f"{low_high[0]:+.1f} to {low_high[1]:+.1f}",
                "",
                "",
            )
            by_heading = dict(zip(NUMBERS, cells, strict=True))
            table.add_row(task, _perturbed(suite), *(by_heading[heading] for heading in shown))
    return table


def _perturbed(suite: str) -> str:
    return f"perturbed: {suite}"
