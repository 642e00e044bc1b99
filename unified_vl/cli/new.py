"""`unified-vl new`: a first spec for data that have none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def new(
    given: Annotated[
        Path,
        typer.Option(
            "--from",
            help="A JSONL, CSV, TSV, Parquet or Arrow file, COCO's JSON, a tar of WebDataset, or "
            "a folder of such files or of images.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write the spec here; without it, print it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The data root; without it one is chosen and named.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task's name.")] = None,
) -> None:
    """Look at data and draft a task spec that passes `check`, with comments where it guessed."""
    from unified_vl.authoring.drafting.draft import draft
    from unified_vl.errors import UserError
    from unified_vl.files import write_atomically

    if output is not None and output.exists():
        raise UserError("is there already", file=output, expected="a new file")
    drafted = draft(given, root=data, task=task)
    if output is None:
        print(drafted.text, end="")
    else:
        write_atomically(output, drafted.text)
        print(f"wrote {output}", file=sys.stderr)
    for error in drafted.bad[:3]:
        print(f"a row breaks it: {error}", file=sys.stderr)
    spec = output or "SPEC.yaml"
    print(f"next: unified-vl check {spec} --data {drafted.root}", file=sys.stderr)
    print(f"      unified-vl show {spec} --data {drafted.root}", file=sys.stderr)
