"""`unified-vl report`: the report of a run, from what the run wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The output directory of a run.")],
    data: Annotated[Path, typer.Option(help="Data root: image paths are relative to it.")],
    pictures: Annotated[
        Path | None,
        typer.Option(help="Write pictures of it here as PNG; needs the browser `chromium`."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            help="The output directory of a run of some of its tasks, such as a specialist's, to "
            "draw the curves of both beside each other. May be given several times."
        ),
    ] = None,
) -> None:
    """Write report.html from a run's report.json, predictions.jsonl and events.jsonl.

    Training writes the last one; the others come from
    `unified-vl evaluate RUN/model --data DATA --output RUN/report.json --predictions
    RUN/predictions.jsonl`.
    """
    from unified_vl.errors import UserError
    from unified_vl.evaluation.reporting.report import write_pictures, write_report
    from unified_vl.remote.urls import is_folder

    if not is_folder(data):  # else the page would lack its images without a word
        raise UserError("there is no such folder", file=data, expected="the data root")
    typer.echo(str(write_report(run, data, beside or [])))
    if pictures is not None:
        for path in write_pictures(run, data, pictures):
            typer.echo(str(path))
