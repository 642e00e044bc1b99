"""`unified-vl probe`: what images and texts have taught a saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unified_vl.cli.options import Device

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.task import TaskSpec


def probe(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A saved model's directory.")],
    data: Annotated[Path, typer.Option(help="Data root: the specs' paths are relative to it.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK|SPEC",
            help="A task that asks for the class of an image; or, with --beside, one of text "
            "alone, which unless given are all that both models know. May be given several times.",
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Another model, such as one trained without images: compare on texts."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write what was found (JSON).")
    ] = None,
    train_limit: Annotated[
        int | None, typer.Option(min=2, help="Learn from so many rows, drawn at random.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score so many rows, drawn at random.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Of the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the image branch at random.")] = 0,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Probe the image branch of a model with a linear classifier, or compare models on texts."""
    from unified_vl.errors import UserError
    from unified_vl.extras import require

    if beside is None and not task:
        raise UserError(
            "nothing says what to probe", file="command line", expected="--task or --beside"
        )
    if beside is None:
        require("sklearn")  # before torch: a mistake is told at once

    from unified_vl.evaluation.probing.probe import probe as learn
    from unified_vl.evaluation.probing.text_tasks import compare_on_texts
    from unified_vl.files import check_writable, write_atomically
    from unified_vl.inference.predictor import UnifiedVL

    if output is not None:
        check_writable(output)
    own = UnifiedVL.from_pretrained(model, device)
    found: dict[str, Any]
    if beside is not None:
        other = UnifiedVL.from_pretrained(beside, device)
        specs = _texts(own, other) if not task else [own.spec(each) for each in task]
        names = (str(beside), str(model))
        found = compare_on_texts(own, other, names, specs, data, limit=limit, resamples=resamples)
    else:
        several = [
            learn(
                own,
                own.spec(each),
                data,
                train_limit=train_limit,
                limit=limit,
                resamples=resamples,
                seed=seed,
            )
            for each in task or ()
        ]
        found = {"model": str(model), "tasks": {each["task"]: each for each in several}}
    text = json.dumps(found, ensure_ascii=False, indent=1)
    if output is not None:
        write_atomically(output, text)
    if as_json:
        typer.echo(text)
    else:
        _print(found, compared=beside is not None)


def _texts(own: UnifiedVL, other: UnifiedVL) -> list[TaskSpec]:
    from unified_vl.evaluation.probing.text_tasks import reads_text_alone

    shared = [name for name in own.specs if name in other.specs]
    return [own.specs[name] for name in shared if reads_text_alone(own.specs[name])]


def _print(found: dict[str, Any], *, compared: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from unified_vl.cli.evaluation.compare import fitting_table

    console = Console(highlight=False)
    if compared:
        console.print(fitting_table(found, console)[0])
        return
    for task, probed in found["tasks"].items():
        table = Table(
            title=f"{task}: {probed['classes']} classes, {probed['rows']} {probed['split']} rows",
            caption="a linear classifier on features; 95 % intervals by bootstrap",
        )
        for heading in ("features", "accuracy", "95 %", "branch above it", "95 %"):
            table.add_column(heading, justify="left" if heading == "features" else "right")
        for name, score in probed["accuracy"].items():
            above = probed["above"].get(name)
            table.add_row(
                name,
                f"{score['accuracy']:.1f}",
                _ends(score["interval"], ".1f"),
                "" if above is None else f"{above['difference']:+.1f}",
                "" if above is None else _ends(above["interval"], "+.1f"),
            )
        table.add_row("(the most frequent class)", f"{probed['most_frequent']:.1f}", "", "", "")
        console.print(table)


def _ends(interval: list[float], form: str) -> str:
    return f"{interval[0]:{form}} to {interval[1]:{form}}"
