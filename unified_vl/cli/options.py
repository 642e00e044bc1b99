"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")
]
Int8 = Annotated[
    bool,
    typer.Option("--int8", help="Multiply with matrices of int8; it may change answers."),
]
Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the model first (half a minute), for many rows."),
]
