"""`unified-vl predict`: ask a saved model, once or for a file of rows."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_vl.errors import UserError

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL


def predict(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    task: Annotated[str, typer.Option(metavar="NAME|SPEC", help="A task of it, or a spec file.")],
    image: Annotated[Path | None, typer.Option(help="The image, where the task has one.")] = None,
    language: Annotated[str | None, typer.Option(help="Tag of the language: de, zh, ...")] = None,
    input: Annotated[
        Path | None, typer.Option(help="A JSONL file of rows in place of one input.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers to --input go.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of --input read at once.")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask a model. Any other field of the task is an option too: --FIELD VALUE."""
    from unified_vl.inference.predictor import UnifiedVL

    fields = parse_fields(context.args)
    if image is not None:
        fields["image"] = str(image)
    if (input is None) != (output is None):
        raise UserError(
            "one of --input and --output is missing",
            file="command line",
            expected="both, or neither",
        )
    if input is not None and fields:
        raise UserError(
            f"--input is given together with --{next(iter(fields))}",
            file="command line",
            expected="fields in the rows of the input file",
        )
    predictor = UnifiedVL.from_pretrained(model, device)
    if input is not None and output is not None:
        _predict_rows(predictor, task, input, output, language, batch_size)
        return
    answer = predictor.predict(task, language, **fields)
    if json:
        typer.echo(encoder.dumps(answer.as_row(), ensure_ascii=False))
        return
    if answer.text:
        typer.echo(answer.text)
    for box in answer.boxes or ():
        typer.echo(" ".join(f"{value:.1f}" for value in box))


def parse_fields(arguments: list[str]) -> dict[str, str]:
    """`--phrase "a dog"` or `--phrase="a dog"` as {"phrase": "a dog"}.

    Raises:
        UserError: for a value without a name, or a name without a value.
    """
    fields: dict[str, str] = {}
    left = list(arguments)
    while left:
        first = left.pop(0)
        name, equals, value = first.removeprefix("--").partition("=")
        if not first.startswith("--") or not name:
            raise UserError(
                f"found {first!r}", file="command line", expected="--FIELD VALUE for each field"
            )
        if not equals:
            if not left:
                raise UserError(f"--{name} has no value", file="command line")
            value = left.pop(0)
        key = name.replace("-", "_")
        if key in fields:
            raise UserError(f"--{name} is given twice", file="command line")
        fields[key] = value
    return fields


def _predict_rows(
    predictor: UnifiedVL,
    task: str,
    source: Path,
    output: Path,
    language: str | None,
    batch_size: int,
) -> None:
    from rich.console import Console

    from unified_vl.inference.files import predict_file

    console = Console(stderr=True, highlight=False)
    with console.status("answering") as status:
        done = 0

        def show(rows: int) -> None:
            nonlocal done
            done = rows
            status.update(f"{rows} rows answered")

        failed = predict_file(
            predictor,
            task,
            source,
            output,
            language=language,
            batch_size=batch_size,
            progress=show,
        )
    console.print(f"{done} rows, {failed} of them with an error: {output}", soft_wrap=True)
