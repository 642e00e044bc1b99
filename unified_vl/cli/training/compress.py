"""`unified-vl compress`: a smaller model made of a saved one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from unified_vl.training.compression.compress import Pruning, Student


def compress(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A saved model's directory.")],
    run_file: Annotated[
        Path, typer.Option("--run", help="The run file that the smaller model is trained by.")
    ],
    output: Annotated[Path, typer.Option(help="Where to write; a new folder.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Keys of the run to set, as in steps=2000."),
    ] = None,
    prune: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=0.99, help="The share of heads and feed-forward units to take away."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="With --prune: in how many rounds they go.")
    ] = 1,
    by: Annotated[
        Literal["taylor", "magnitude"],
        typer.Option(help="With --prune: how their importance is measured."),
    ] = "taylor",
    rewind: Annotated[
        Path | None,
        typer.Option(
            help="With --prune: an early checkpoint of MODEL's training, with whose weights each "
            "round starts (the lottery ticket)."
        ),
    ] = None,
    student: Annotated[
        Path | None,
        typer.Option(help="A YAML file of the `model` keys in which the student differs."),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Blocks of the encoder that the student keeps.")
    ] = None,
    decoder_layers: Annotated[
        int | None, typer.Option(min=1, help="Likewise of the decoder; as many unless given.")
    ] = None,
    logits: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of MODEL's answers; 1, with --prune 0."),
    ] = None,
    hidden: Annotated[float, typer.Option(min=0, help="Weight of its hidden states.")] = 0.0,
    attention: Annotated[float, typer.Option(min=0, help="Weight of its attention maps.")] = 0.0,
    temperature: Annotated[float, typer.Option(min=0.1, help="Of the answers.")] = 2.0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score so many rows of each task.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a smaller model by pruning or distillation, and say what it cost and gave."""
    from unified_vl.specs.load import load_run

    plan = _plan(prune, student, layers)
    alone = {
        "prune": {"--rounds": rounds != 1, "--by": by != "taylor", "--rewind": rewind is not None},
        "layers": {"--decoder-layers": decoder_layers is not None},
    }
    _refuse_without_effect({w: o for w, o in alone.items() if w != plan})
    load_run(run_file, overrides or ())  # before torch: a mistake is told at once

    from unified_vl.training.compression.compress import Pruning
    from unified_vl.training.compression.compress import compress as make

    how: Pruning | Student
    if plan == "prune":
        assert prune is not None
        how = Pruning(prune, rounds, by, rewind=rewind)
    else:
        how = _student(model, student, layers, decoder_layers)
    weights = {"logits": logits, "hidden": hidden, "attention": attention}
    if logits is None:
        weights["logits"] = 0.0 if plan == "prune" else 1.0
    teacher = {**weights, "temperature": temperature} if any(weights.values()) else {}
    table = make(
        model,
        run_file,
        output,
        how,
        overrides=tuple(overrides or ()),
        teacher=teacher,  # type: ignore[arg-type]
        limit=limit,
        resume=resume,
        say=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        typer.echo(json.dumps(table, indent=1, ensure_ascii=False))
    else:
        _print(table)


def _plan(prune: float | None, student: Path | None, layers: int | None) -> str:
    from unified_vl.errors import UserError

    asked = {"prune": prune, "student": student, "layers": layers}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        found = "nothing says how" if not given else " and ".join(f"--{name}" for name in given)
        raise UserError(
            found, file="command line", expected="one of --prune, --student and --layers"
        )
    return given[0]


def _refuse_without_effect(alone: Mapping[str, Mapping[str, bool]]) -> None:
    """Options, and whether they are given, that belong to a plan which is not asked for."""
    from unified_vl.errors import UserError

    for plan, options in alone.items():
        for option, given in options.items():
            if given:
                raise UserError(f"has no effect without --{plan}", field=option)


def _student(
    model: Path, student: Path | None, layers: int | None, decoder_layers: int | None
) -> Student:
    from unified_vl.errors import UserError
    from unified_vl.model.saved_configuration import CONFIG, own_configuration
    from unified_vl.training.compression.compress import Student
    from unified_vl.training.compression.student import read_student

    config: Any = own_configuration(model / CONFIG)
    if student is not None:
        return Student(keys=read_student(student, config))
    assert layers is not None
    found = (layers, decoder_layers or layers)
    most = (config.num_layers, config.num_decoder_layers)
    for name, asked, there in zip(("layers", "decoder-layers"), found, most, strict=True):
        if asked > there:
            raise UserError(
                f"found {asked}",
                file="command line",
                field=f"--{name}",
                expected=f"at most {there}, as the model has",
            )
    return Student(layers=found)


def _print(table: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    models = table["models"]
    shown = Table(title="before and after")
    shown.add_column("model", no_wrap=True)
    headings = ("weights", "MB", "heads", "units", "layers", "rows/s")
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for task, score in models[0]["scores"].items():
        shown.add_column(f"{task} {score['metric']}", justify="right")
    for row in models:
        shown.add_row(
            row["model"],
            f"{row['weights']:,}",
            f"{row['bytes'] / 1e6:.1f}",
            str(row["heads"]),
            str(row["units"]),
            "+".join(map(str, row["layers"])),
            f"{row['rows_per_second']:.1f}",
            *(f"{score['score']:.1f}" for score in row["scores"].values()),
        )
    Console(highlight=False).print(shown)
