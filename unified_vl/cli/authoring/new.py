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
            help="A JSONL, CSV, TSV, Parquet or Arrow file, a file of an annotation tool (COCO, "
            "VOC, YOLO, CVAT, LabelMe, Label Studio, VoTT, ...), a tar of WebDataset, or "
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
    encoding: Annotated[
        str | None, typer.Option(help="Of a CSV or TSV file that is not UTF-8: cp1252, ...")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Write a run file here too, with its mixture; needs --output."),
    ] = None,
) -> None:
    """Look at data and draft a task spec that passes `check`, with comments where it guessed."""
    from unified_vl.authoring.drafting.draft import draft
    from unified_vl.errors import UserError
    from unified_vl.files import write_atomically
    from unified_vl.specs.reading.plugins import load_plugins

    if run is not None and output is None:
        raise UserError("needs a spec to train", field="--run", expected="--output SPEC.yaml too")
    for path in (output, run):
        if path is not None and path.exists():
            raise UserError("is there already", file=path, expected="a new file")
    load_plugins()  # whose kinds of value may know a column
    drafted = draft(given, root=data, task=task, encoding=encoding)
    if output is None:
        print(drafted.text, end="")
    else:
        write_atomically(output, drafted.text)
        print(f"wrote {output}", file=sys.stderr)
    for error in drafted.bad[:3]:
        print(f"a row breaks it: {error}", file=sys.stderr)
    spec = output or "SPEC.yaml"
    steps = [f"check {spec} --data {drafted.root}", f"show {spec} --data {drafted.root}"]
    if run is not None:
        steps += _write_run(Path(spec), drafted.root, run)
    for number, step in enumerate(steps):
        print(f"{'      ' if number else 'next: '}unified-vl {step}", file=sys.stderr)


def _write_run(spec: Path, data: Path, run: Path) -> list[str]:
    """Write a run file and its mixture; the commands that go on from there."""
    from unified_vl.authoring.drafting.run import draft_run
    from unified_vl.errors import UserError
    from unified_vl.files import write_atomically

    drafted = draft_run(spec, data, run)
    if drafted.mixture_path.exists():
        raise UserError("is there already", file=drafted.mixture_path, expected="a new file")
    write_atomically(drafted.mixture_path, drafted.mixture)
    write_atomically(run, drafted.run)
    print(f"wrote {drafted.mixture_path} and {run}", file=sys.stderr)
    size = f"--vocabulary-size {drafted.vocabulary}"
    return [
        f"tokenizer train --spec {spec} --data {data} {size} --output {drafted.tokenizer}",
        f"check {run}",
        f"train {run}",
    ]
