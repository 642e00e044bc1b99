"""Options of the commands that publish a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="The directory of a saved model.")]
Report = Annotated[
    Path | None,
    typer.Option(help="report.json of `evaluate`; that beside the directory unless given."),
]
Licence = Annotated[
    str | None,
    typer.Option(help="Of the model, as the Hub calls it: apache-2.0, cc-by-4.0, other, ..."),
]
