"""`unified-vl evaluate-transfer`: captions taken from the nearest images, as a baseline."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unified_vl.cli.options import Device

if TYPE_CHECKING:
    from rich.table import Table


def evaluate_transfer(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    data: Annotated[Path, typer.Option(help="Data root: the specs' paths are relative to it.")],
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME|SPEC", help="The captioning task; the only one unless given."),
    ] = None,
    split: Annotated[
        Literal["validation", "test"], typer.Option(help="The rows to caption.")
    ] = "test",
    size: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=10**9, help="Images of the collection; once for each point of the curve."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="Caption so many rows, drawn at random.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the scores (JSON).")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curve into this file (.svg, .png).")
    ] = None,
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score the captions of the nearest training images beside the model's own."""
    from rich.console import Console

    from unified_vl.evaluation.reporting.charts import check_drawable, draw_transfer
    from unified_vl.evaluation.results import only_writer_of, write_json
    from unified_vl.evaluation.transfer import SIZES
    from unified_vl.evaluation.transfer import evaluate_transfer as score
    from unified_vl.inference.pair_scoring import PairScorer
    from unified_vl.inference.predictor import UnifiedVL

    console = Console(stderr=True, highlight=False)
    if plot is not None:
        check_drawable(plot)
    with only_writer_of(output, plot):
        report = score(
            PairScorer(UnifiedVL.from_pretrained(model, device), task),
            split,
            data,
            model_name=str(model),
            sizes=sorted(size or SIZES),
            limit=limit,
            progress=console.print,
        )
        if output is not None:
            write_json(output, report)
        if plot is not None:
            draw_transfer(report, plot)
    if json:
        typer.echo(encoder.dumps(report, ensure_ascii=False, indent=1))
    else:
        Console().print(table_of(report))


def table_of(report: dict[str, Any]) -> Table:
    """A row a size of the collection and one for the model's own captions."""
    from rich.table import Table

    title = (
        f"{report['model']}: {report['task']}, {report['count']} rows ({report['seconds']:.0f} s)"
    )
    table = Table(title=title)
    table.add_column("captions")
    for metric in report["own"]["metrics"]:
        table.add_column(metric, justify="right")
    for size, scores in report["transferred"].items():
        values = [f"{value:.1f}" for value in scores["metrics"].values()]
        table.add_row(f"nearest of {int(size):,} images", *values)
    table.add_section()
    own = [f"{value:.1f}" for value in report["own"]["metrics"].values()]
    table.add_row("the model's own", *own)
    return table
