"""`unified-vl predict`: ask a saved model, once or for a file of rows."""

from __future__ import annotations

import json as encoder
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unified_vl.cli.answering.decoding import decoding_options
from unified_vl.cli.answering.fields import parse_fields, refuse_unknown
from unified_vl.cli.options import Compile, Device, Int8
from unified_vl.errors import UserError, number_of, visible

if TYPE_CHECKING:
    from rich.progress import Progress

    from unified_vl.inference.prediction import Prediction
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.task import TaskSpec


@decoding_options
def predict(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SPEC",
            help="A task of it, or a spec file; rows of --input may name theirs instead.",
        ),
    ] = None,
    image: Annotated[Path | None, typer.Option(help="The image, where the task has one.")] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Tag of the language: de, zh, ...; with --input also de,zh or all."),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option(
            help="Rows in place of one input: a .jsonl, .parquet, .csv or .tsv file, or a folder "
            "of images."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where the answers to --input go: .jsonl, .parquet, .csv, or .json for COCO "
            "results."
        ),
    ] = None,
    n: Annotated[int, typer.Option(min=1, max=64, help="How many answers to give.")] = 1,
    scores: Annotated[bool, typer.Option(help="Print the score before each answer.")] = False,
    draw: Annotated[
        Path | None,
        typer.Option(help="Write the image with the predicted boxes on it, or the pictures drawn."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=65_536, help="Rows of --input read at once.")
    ] = 64,
    device: Device = "auto",
    compile: Compile = False,
    int8: Int8 = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Print control characters of the data as they are; in .csv, leave texts that "
            "spreadsheets take for formulas.",
        ),
    ] = False,
    *,
    generate: dict[str, Any],
) -> None:
    """Ask a model. Any other field of the task is an option too: --FIELD VALUE."""
    from unified_vl.inference.prediction import lines_of
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.reading.overrides import with_generate

    fields = parse_fields(context.args)
    if image is not None:
        if image.is_dir():
            raise UserError(
                f"{image} is a folder",
                file="command line",
                field="--image",
                expected=f"an image, or --input {image} --output FILE for all of its images",
            )
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
    if input is None and task is None:
        raise UserError("--task is missing", file="command line", expected="a task or a spec file")
    predictor = UnifiedVL.from_pretrained(model, device, compile=compile, int8=int8)
    if task is not None and language is not None:
        _say_variants(predictor.spec(task), language)
    if draw is not None and task is not None:
        _check_draw(predictor.spec(task), draw, image)
    if input is not None and output is not None:
        _predict_rows(predictor, task, input, output, language, batch_size, n, raw, generate)
        return
    assert task is not None
    spec = with_generate(predictor.spec(task), generate)
    refuse_unknown(context, spec, fields)
    answer = predictor.predict(spec, language, n=n, **fields)
    if draw is not None:
        _draw(answer, image, draw, task)
    if json:
        given = {"generate": generate} if generate else {}
        row = encoder.dumps(answer.as_row() | given, ensure_ascii=False)
        typer.echo(row if raw else visible(row), color=raw or None)
        _warn(answer)
        return
    for one in answer.alternatives or (answer,):
        lines = list(lines_of(one))
        if not lines and not one.images:
            typer.echo("note: the answer is empty", err=True)
        for line in lines:
            line = line if raw else visible(line)
            typer.echo(f"{one.score:.4f}\t{line}" if scores else line, color=raw or None)
    _warn(answer)


def _say_variants(spec: TaskSpec, said: str) -> None:
    """Which tags are meant by languages that are said without their territory or script."""
    from unified_vl.inference.inputs import input_language

    for language in [] if said == "all" else map(str.strip, said.split(",")):
        if spec.data.tag_of(language) is None:
            meant = input_language(spec, language)
            typer.echo(f"note: {language!r} is {meant!r} in the task {spec.task!r}", err=True)


def _warn(answer: Prediction) -> None:
    """A line a flag of the answer, on stderr."""
    from unified_vl.inference.prediction import FLAGS

    for flag, said in FLAGS.items():
        if getattr(answer, flag):
            typer.echo(f"warning: the answer is {said} ({flag})", err=True)


def _check_draw(spec: TaskSpec, draw: Path, image: Path | None) -> None:
    from unified_vl.inference.drawing import check_drawing

    if image is None and not spec.answer_form.image:
        raise UserError("--draw needs an image", file="command line", expected="--image FILE")
    check_drawing(draw)


def _draw(answer: Prediction, image: Path | None, draw: Path, task: str) -> None:
    from unified_vl.inference.drawing import save_drawing, save_picture
    from unified_vl.inference.pictures import side_by_side

    several = answer.alternatives or (answer,)
    pictures = [picture for one in several for picture in one.images]
    if pictures:
        save_picture(side_by_side(pictures), draw)
        return
    if image is None or (not answer.shapes):
        raise UserError(
            f"the task {task!r} has no shapes to draw", file="command line", field="--draw"
        )
    save_drawing(image, answer, draw)


def _predict_rows(
    predictor: UnifiedVL,
    task: str | None,
    source: Path,
    output: Path,
    language: str | None,
    batch_size: int,
    n: int,
    raw: bool,
    generate: dict[str, Any],
) -> None:
    """Answer a file, and say at the end how many answers are messages."""
    from unified_vl.image_formats import named
    from unified_vl.inference.files import errors_file, predict_file
    from unified_vl.inference.folders import unread_below
    from unified_vl.inference.tally import Tally

    languages: str | Sequence[str] | None = language
    if language == "all":
        if task is None:
            raise UserError("--language all needs a task", file="command line", expected="--task")
        languages = predictor.spec(task).data.languages
    elif language is not None and "," in language:
        languages = [one.strip() for one in language.split(",")]
    tally = Tally()
    with _progress() as show:
        predict_file(
            predictor,
            task,
            source,
            output,
            language=languages,
            batch_size=batch_size,
            n=n,
            progress=show,
            tally=tally,
            raw=raw,
            generate=generate,
        )
    said = f"{tally.rows} rows, {tally.failed} of them with an error: {output}"
    if source.is_dir() and (others := unread_below(source)):
        typer.echo(
            f"{number_of(len(others), 'image')} in other formats left out: {named(others)}",
            err=True,
        )
    messages = errors_file(output)
    typer.echo(said if not messages.is_file() else f"{said}, {messages}", err=True)
    for warning in tally.warnings():
        typer.echo(f"warning: {warning}", err=True)
    if tally.failed and tally.failed == tally.rows:
        raise UserError(f"no row could be answered; the first: {tally.reason}", file=source)


class _Show:
    """Tells how far a file is: a bar on a terminal, up to ten lines elsewhere."""

    def __init__(self, bar: Progress) -> None:
        self.total = 0
        self._bar = bar
        self._task = bar.add_task("answering")
        self._tenths: int | None = None

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
        self.total = total
        tenths = 10 * done // max(total, 1)
        if self._tenths is None:
            if done:
                self._say(f"{done} rows were done before")
        elif tenths > self._tenths and self._bar.disable:
            self._say(f"{done} of {total} rows done")
        self._tenths = tenths

    def _say(self, text: str) -> None:
        self._bar.console.print(text, soft_wrap=True)  # above the bar


@contextmanager
def _progress() -> Iterator[_Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield _Show(bar)
