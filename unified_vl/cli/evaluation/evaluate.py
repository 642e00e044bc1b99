"""`unified-vl evaluate`: score a saved model on its tasks, or anybody's answers."""

from __future__ import annotations

import json as encoder
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unified_vl.cli.answering.decoding import decoding_options
from unified_vl.cli.evaluation.other_models import (
    OtherOptions,
    is_file_of_answers,
    is_other,
    opened_other,
    other_options,
    other_specs,
    refuse_without_effect,
    who_and_what,
)
from unified_vl.cli.evaluation.perturbed import print_perturbed
from unified_vl.cli.evaluation.tables import add_names, fits
from unified_vl.cli.options import Compile, Device, Int8

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from unified_vl.evaluation.evaluate import Progress
    from unified_vl.other_models.answerer import Answerer
    from unified_vl.specs.task import TaskSpec


OTHERS_AT_ONCE = 8
WIDEST_DIMENSION = 4  # values that get a column of the printed table each


@decoding_options
@other_options
def evaluate(
    data: Annotated[Path, typer.Option(help="Data root: the specs' paths are relative to it.")],
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL [TASK|SPEC]",
            help="Who answers: the directory of a saved model, hf:DIR_OR_ID for a model of "
            "transformers, openai:URL for one behind a server, or a file of answers (.jsonl, .csv, "
            ".tsv, .parquet). Then tasks of the model by name, or spec files; none: all its tasks.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="MODEL; the arguments are then tasks alone.")
    ] = None,
    spec: Annotated[
        list[str] | None, typer.Option(metavar="TASK|SPEC", help="A task beside the arguments.")
    ] = None,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(
            help="The rows to score; unless given test, or validation where a task has "
            "no test split."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write the report (JSON), and beside it what `compare` needs."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Where to write every answer (JSONL); without a MODEL, the answers to score."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=10**9, help="Score so many rows of a task, drawn at random."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resamples of the 95 % intervals; 0 for none.")
    ] = 1000,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_536,
            help="Rows that are read at once (128, of other models 8), or asked of a server.",
        ),
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUITE|NAME[:SEVERITY]",
            help="Score the rows once more, perturbed: images, typos, casing, prompts, choices, "
            "priors, shift, all, or one of them such as gaussian_noise:3. May be given several "
            "times.",
        ),
    ] = None,
    perturb_seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Decides what perturbations draw.")
    ] = 0,
    device: Device = "auto",
    compile: Compile = False,
    int8: Int8 = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    *,
    others: OtherOptions,
    generate: dict[str, Any],
) -> None:
    """Score a model by its specs: in all, by language, and by what else a spec reports by."""
    from unified_vl.errors import visible
    from unified_vl.evaluation.evaluate import evaluate as score
    from unified_vl.evaluation.results import check_outputs, only_writer_of, write_results
    from unified_vl.evaluation.scoring import notes_of
    from unified_vl.perturbation.asked import asked_perturbations
    from unified_vl.specs.reading.overrides import with_generate

    asked_perturbations(perturb or ())
    who, tasks = who_and_what(named or [], model, spec or [], predictions)
    if predictions is not None and who == str(predictions):
        predictions = None  # which is read
    check_outputs(output, predictions)
    with ExitStack() as stack:
        stack.enter_context(only_writer_of(output, predictions))
        predictor: Answerer
        if is_other(who):
            if is_file_of_answers(who):
                refuse_decoding(generate)
            chosen = other_specs(tasks)
            opened = opened_other(
                who,
                others,
                device=device,
                max_tokens=generate.get("max_tokens"),
                beside=predictions or output,
            )
            predictor = stack.enter_context(opened)
        else:
            refuse_without_effect(others)
            predictor, chosen = saved_model(who, tasks, device, compile, int8)
        chosen = [with_generate(each, generate) for each in chosen]
        with progress_of_tasks() as progress:
            evaluation = score(
                predictor,
                chosen,
                split,
                data,
                model_name=who,
                batch_size=batch_size or (OTHERS_AT_ONCE if is_other(who) else 128),
                limit=limit,
                resamples=resamples,
                progress=progress,
                perturb=perturb or (),
                perturb_seed=perturb_seed,
            )
        write_results(evaluation, output, predictions)
    if json:
        typer.echo(visible(encoder.dumps(evaluation.report, ensure_ascii=False, indent=1)))
    else:
        print_scores(evaluation.report)
        print_perturbed(evaluation.report)
    if split is None:
        for task, found in evaluation.report["tasks"].items():
            if found["split"] != "test":
                typer.echo(f"note: {task} has no test split: {found['split']} was scored", err=True)
    for note in notes_of(evaluation.report):
        typer.echo(f"note: {note}", err=True)
    for warning in warnings_of(evaluation.report):
        typer.echo(warning, err=True)


def saved_model(
    directory: str, tasks: Sequence[str], device: str, compile: bool, int8: bool
) -> tuple[Answerer, list[TaskSpec]]:
    """A model of this project, and the tasks that are meant: all of its own where none is named."""
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.load import load_tasks

    predictor = UnifiedVL.from_pretrained(directory, device, compile=compile, int8=int8)
    chosen: list[TaskSpec] = []
    for name in tasks or predictor.specs:
        folder = name not in predictor.specs and Path(name).is_dir()
        chosen += load_tasks([name]) if folder else [predictor.spec(name)]
    return predictor, chosen


def refuse_decoding(generate: dict[str, Any]) -> None:
    """That nobody is told how to decode what is written already."""
    from unified_vl.errors import UserError
    from unified_vl.specs.reading.overrides import option

    if generate:
        raise UserError(
            "has no effect on a file of answers",
            file="command line",
            field=option(next(iter(generate))),
            expected="a model",
        )


def warnings_of(report: dict[str, Any]) -> Iterator[str]:
    """A line a task and flag that some of its answers have, and of those that are none."""
    from unified_vl.inference.prediction import FLAGS

    for name, task in report["tasks"].items():
        if failed := task.get("failed"):
            by = task["failed_by"].get("language", {})
            said = ", ".join(f"{tag} {count}" for tag, count in by.items()) if len(by) > 1 else ""
            yield (
                f"warning: {name}: {failed} of {task['count']} answers are none that the task asks "
                f"for, and count as wrong{f' ({said})' if said else ''}"
            )
        for flag, said in FLAGS.items():
            rate = task["flags"][flag]
            if rate:
                yield f"warning: {name}: {rate:.3g} % of the answers are {said} ({flag})"


@contextmanager
def progress_of_tasks() -> Iterator[Progress]:
    """A bar a task on a terminal, a line a task elsewhere, on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bars: dict[str, TaskID] = {}
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:

        def show(task: str, done: int, total: int) -> None:
            if task not in bars:
                bars[task] = progress.add_task(task, total=total)
            progress.update(bars[task], completed=done)
            if done == total and not console.is_terminal:
                console.print(f"{task}: {total} rows done")

        yield show


def print_scores(report: dict[str, Any]) -> None:
    """A row a metric, in all and by the dimensions of few values, as far as there is room."""
    from rich.console import Console

    console = Console()
    table, left_out = fitting_table(report, console)
    console.print(table)
    if left_out:
        said = " and ".join(left_out)
        typer.echo(f"note: no room for scores by {said} here; the report has them", err=True)


def fitting_table(report: dict[str, Any], console: Console) -> tuple[Table, list[str]]:
    """The scores, and the dimensions that a console has no room for."""
    shown = {
        dimension: values
        for dimension, values in _values_of_dimensions(report).items()
        if dimension != "language" and len(values) <= WIDEST_DIMENSION
    }
    left_out: list[str] = []
    while True:
        table = _table_of(report, [(name, v) for name, values in shown.items() for v in values])
        if not shown or fits(table, console):
            return table, left_out[::-1]
        left_out.append(shown.popitem()[0])


def _table_of(report: dict[str, Any], cells: Sequence[tuple[str, str]]) -> Table:
    """All scores, and those by these dimensions and values of them."""
    from rich.table import Table
    from rich.text import Text

    from unified_vl.errors import visible

    tasks = report["tasks"].items()
    metrics = [metric for _, task in tasks for metric in task["metrics"]]
    table = Table(title=f"{report['model']} ({report['seconds']:.0f} s)")
    add_names(table, {"task": report["tasks"], "metric": metrics})
    for name in ("rows", "all", "95 %", *(value for _, value in cells)):
        table.add_column(Text(visible(name)), justify="right", no_wrap=True)  # only names fold
    for name, task in tasks:
        for metric, value in task["metrics"].items():
            groups = [task["by"].get(dimension, {}).get(cell, {}) for dimension, cell in cells]
            shown = [f"{g[metric]:.1f}" if metric in g else "" for g in groups]
            ends = task.get("intervals", {}).get(metric)
            interval = "" if ends is None else f"{ends[0]:.1f}–{ends[1]:.1f}"
            table.add_row(name, metric, str(task["count"]), f"{value:.1f}", interval, *shown)
    return table


def _values_of_dimensions(report: dict[str, Any]) -> dict[str, list[str]]:
    """Every dimension that scores are broken down by, with the values it takes."""
    found: dict[str, dict[str, None]] = {}
    for task in report["tasks"].values():
        for dimension, values in task["by"].items():
            found.setdefault(dimension, {}).update(dict.fromkeys(values))
    return {dimension: list(values) for dimension, values in found.items()}
