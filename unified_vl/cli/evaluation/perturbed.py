"""Scores of perturbed rows on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from unified_vl.cli.evaluation.tables import add_names, fits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

HEADINGS = ("rows", "clean", "change", "95 %")
LEFT_OUT = ("severities", "95 %", "rows")  # where there is no room for all: first, second, third


def print_perturbed(report: Mapping[str, Any]) -> None:
    """A row a perturbation and suite of each task, with the primary score; nothing of a report
    without perturbations."""
    from rich.console import Console

    if not report.get("suites"):
        return
    console = Console()
    console.print(fitting_table(report, console))
    for suite, mean in report["suites"].items():
        ends = "" if mean["interval"] is None else f" (95 %: {_ends(mean['interval'])})"
        tasks = f"{len(mean['tasks'])} task{'s' if len(mean['tasks']) > 1 else ''}"
        console.print(f"{suite}: {mean['difference']:+.1f}{ends} in the mean of {tasks}")


def fitting_table(report: Mapping[str, Any], console: Console) -> Table:
    """The table, with as many columns as a console has room for."""
    for count in range(len(LEFT_OUT) + 1):
        table = _table(report, LEFT_OUT[:count])
        if fits(table, console):
            break
    return table


def _table(report: Mapping[str, Any], left_out: tuple[str, ...]) -> Table:
    from rich.table import Table

    tasks = {name: task for name, task in report["tasks"].items() if task.get("perturbed")}
    most = max((len(s) for t in tasks.values() for s in _severities(t)), default=0)
    table = Table(
        title="Perturbed: changes of the primary score",
        caption="change: perturbed - clean on the same rows, the mean over severities; 1 to 5: at "
        "each; 95 %: paired bootstrap",
    )
    add_names(
        table, {"task": tasks, "perturbation": [n for t in tasks.values() for n in _names(t)]}
    )
    shown = [heading for heading in HEADINGS if heading not in left_out]
    levels = () if "severities" in left_out else tuple(map(str, range(1, most + 1)))
    for heading in (*shown, *levels):
        table.add_column(heading, justify="right", no_wrap=True)  # only names fold
    for name, task in tasks.items():
        for label, cells in _rows(task, levels):
            by_heading = dict(zip((*HEADINGS, *levels), cells, strict=True))
            bold = label in task["suites"]
            table.add_row(
                name,
                label,
                *(by_heading[h] for h in (*shown, *levels)),
                style="bold" if bold else "",
            )
        table.add_section()
    return table


def _names(task: Mapping[str, Any]) -> list[str]:
    return [*task["perturbed"], *task["suites"]]


def _severities(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each["severities"] for each in task["perturbed"].values()]


def _rows(task: Mapping[str, Any], levels: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The names of suites and of what is in them, with the cells of their rows."""
    primary = task["primary"]
    for suite, mean in task["suites"].items():
        ends = "" if mean["interval"] is None else _ends(mean["interval"])
        cells = ["", f"{mean['clean']:.1f}", f"{mean['difference']:+.1f}", ends]
        yield suite, [*cells, *("" for _ in levels)]
        for name, each in task["perturbed"].items():
            if each["suite"] != suite:
                continue
            found = each["severities"].values()
            changes = [cell["difference"][primary] for cell in found]
            clean = [cell["clean"][primary] for cell in found]
            by = {
                level: f"{c['difference'][primary]:+.1f}" for level, c in each["severities"].items()
            }
            yield (
                name,
                [
                    str(max(cell["count"] for cell in found)),
                    f"{sum(clean) / len(clean):.1f}",
                    f"{sum(changes) / len(changes):+.1f}",
                    _only_interval(found, primary),
                    *(by.get(level, "") for level in levels),
                ],
            )


def _only_interval(cells: Collection[Mapping[str, Any]], primary: str) -> str:
    """That of a perturbation at one severity; of several only the suite has one."""
    ends = [cell["intervals"].get(primary) for cell in cells]
    return _ends(ends[0]) if len(ends) == 1 and ends[0] is not None else ""


def _ends(interval: list[float]) -> str:
    low, high = (round(end, 1) + 0.0 for end in interval)  # no -0.0
    return f"{low:+.1f} to {high:+.1f}"
