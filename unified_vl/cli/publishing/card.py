"""`unified-vl card`: the model card, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.publishing.options import Licence, Model, Report


def card(
    model: Model,
    name: Annotated[
        str | None, typer.Option(help="Its name in the card, such as USER/NAME of the Hub.")
    ] = None,
    report: Report = None,
    licence: Licence = None,
    output: Annotated[
        Path | None, typer.Option(help="The file; README.md in the model's directory unless given.")
    ] = None,
) -> None:
    """Write a model card: tasks, languages, data, scores, how to ask it.

    What it says comes from the model's specs, its training's record and the report of `evaluate`.
    """
    from unified_vl.inference.publishing.card import model_card, write_card

    called = model.resolve().name if name is None else name
    text = model_card(model, called, report=report, licence=licence)
    typer.echo(str(write_card(model, text, output)))
