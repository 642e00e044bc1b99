"""`unified-vl check`: find mistakes in specs and data before training does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from unified_vl.specs.run import Run
    from unified_vl.training.course.epochs import Length


def check(
    specs: Annotated[
        list[Path], typer.Argument(help="Task, mixture and run files, or folders of them.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="The data root; of a run file alone its own unless given. Without one only the "
            "files are checked."
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(min=0, max=10**9, help="Rows of each split, over all languages; 0 takes all."),
    ] = 200,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Check also that texts survive this tokenizer, and fit.")
    ] = None,
    max_source: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Longest source, in tokens.")
    ] = 256,
    max_target: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Longest target, in tokens.")
    ] = 128,
    image_tokens: Annotated[int, typer.Option(min=1, max=1 << 20, help="Tokens of an image.")] = 16,
    leakage: Annotated[
        bool,
        typer.Option(help="Compare all rows for images and texts that a held-out split has too."),
    ] = True,
    write_leaks: Annotated[
        Path | None,
        typer.Option(
            help="Write the train rows that leak to a file below the data root, where "
            "`data.exclude` reads them."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters of the data as they are.")
    ] = False,
) -> None:
    """Check specs: keys, names, columns, rows, images, boxes, texts and leakage.

    One line for each kind of finding, with what to do about it, then what was checked. Exit
    code 2 for an error. Given several specs, their train splits are compared with the test
    splits of all.
    """
    from unified_vl.authoring.checking.check import CHECKED_SIZE, check_paths
    from unified_vl.authoring.checking.leakage import as_jsonl, file_of_leaks
    from unified_vl.errors import UserError, visible
    from unified_vl.files import write_atomically
    from unified_vl.training.checking import with_patterns

    if write_leaks is not None and (data is None or not leakage):
        expected = "--data, and no --no-leakage"
        raise UserError("has no rows to compare", field="--write-leaks", expected=expected)
    leaks_file = None if write_leaks is None or data is None else file_of_leaks(data, write_leaks)
    codec = None
    if tokenizer is not None:
        from unified_vl.authoring.checking.tokens import load_codec  # loads torch

        codec = load_codec(
            tokenizer,
            image_size=CHECKED_SIZE,
            image_tokens=image_tokens,
            max_source=max_source,
            max_target=max_target,
        )
    with Console(stderr=True).status("checking") as status:
        result = check_paths(
            specs, data=data, rows=rows, codec=codec, leakage=leakage, progress=status.update
        )
        result = with_patterns(result, specs)
    lengths = {} if result.failed else _lengths(specs)
    if leaks_file is not None and data is not None:
        write_atomically(leaks_file, as_jsonl(result.leaks))
        named = leaks_file.resolve().relative_to(data.resolve()).as_posix()
        print(f"wrote {leaks_file}; data.exclude: {named} leaves them out", file=sys.stderr)
    if as_json:
        findings = [finding.to_json() for finding in result.findings]
        told: dict[str, object] = {"findings": findings, "checked": result.checked}
        if lengths:
            told["steps"] = {str(path): length.steps for path, (_, length) in lengths.items()}
        lines = [json.dumps(told, ensure_ascii=False)]
    else:
        long = [f"{path}: {length.told(run)}" for path, (run, length) in lengths.items()]
        augmented = [] if result.failed else _augmented(specs)
        lines = [*map(str, result.findings), *long, *augmented, result.summary()]
    for line in lines:
        print(line if raw else visible(line))
    if result.failed:
        raise typer.Exit(2)


def _augmented(specs: list[Path]) -> list[str]:
    """What the run files that are named do to the pictures of their tasks."""
    from unified_vl.specs.runs.augment_rules import told
    from unified_vl.training.checking import runs_of

    return [f"{run.file}: {line}" for run in runs_of(specs) for line in told(run)]


def _lengths(specs: list[Path]) -> dict[Path, tuple[Run, Length]]:
    """How many steps the run files that are named and say epochs come to."""
    from unified_vl.training.checking import runs_of
    from unified_vl.training.course.epochs import length_of

    runs = {run.file: run for run in runs_of(specs) if run.epochs is not None}
    return {path: (run, length_of(run)) for path, run in runs.items() if path is not None}
