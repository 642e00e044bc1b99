"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")
]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the model first (half a minute), for many rows."),
]
