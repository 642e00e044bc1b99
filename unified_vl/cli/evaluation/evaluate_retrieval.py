"""`unified-vl evaluate-retrieval`: recall and ranks in every language, both directions."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unified_vl.cli.options import Device

if TYPE_CHECKING:
    from rich.table import Table


def evaluate_retrieval(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    data: Annotated[Path, typer.Option(help="Data root: the specs' paths are relative to it.")],
    captions: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SPEC",
            help="The captioning task whose images and captions are looked for; the only one "
            "unless given.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SPEC",
            help="Scores by this captioning or matching task; that of --captions unless given.",
        ),
    ] = None,
    yes: Annotated[
        str, typer.Option(help="The answer of a matching task that says they belong together.")
    ] = "yes",
    rerank: Annotated[
        Literal["task", "matching"],
        typer.Option(help="What scores again: a task, or the model's matching head."),
    ] = "task",
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="The rows to look for.")
    ] = "test",
    images: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**9, help="At most so many images or videos, the first of the split."
        ),
    ] = None,
    candidates: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="How many of the first stage are scored again."),
    ] = 10,
    output: Annotated[Path | None, typer.Option(help="Where to write the scores (JSON).")] = None,
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Recall at 1, 5 and 10 and median rank: texts looking for images or videos, and back."""
    from rich.console import Console

    from unified_vl.cli.evaluation.evaluate import progress_of_tasks
    from unified_vl.evaluation.results import only_writer_of, write_json
    from unified_vl.evaluation.retrieval_evaluation import evaluate_retrieval as score
    from unified_vl.inference.pair_scoring import PairScorer
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.inference.retrieval.ranking import scorer_of
    from unified_vl.metrics.retrieval import DIRECTIONS

    with only_writer_of(output):
        predictor = UnifiedVL.from_pretrained(model, device)
        of_captions = PairScorer(predictor, captions)
        asked = of_captions.spec
        scoring = asked if task is None else task
        scorer = scorer_of(predictor, scoring, yes, of_captions.shown, rerank)
        with progress_of_tasks() as progress:
            report = score(
                scorer,
                asked,
                split,
                data,
                model_name=str(model),
                images=images,
                candidates=candidates,
                progress=lambda language, done, total: progress("languages", done, total),
            )
        if output is not None:
            write_json(output, report)
    if json:
        typer.echo(encoder.dumps(report, ensure_ascii=False, indent=1))
    else:
        for direction in DIRECTIONS:
            Console().print(table_of(report, direction))


def table_of(report: dict[str, Any], direction: str) -> Table:
    """A row a language; the first stage's recall at 1 beside what the second makes of it."""
    from rich.table import Table

    from unified_vl.metrics.retrieval import DEPTHS

    title = (
        f"{direction.replace('_', ' ')}: {report['images']} {report['shown']}s of "
        f"{report['captions']}, "
        f"by {report['task']}"
    )
    table = Table(title=title)
    table.add_column("language")
    for name in ("queries", "first R@1", *(f"R@{k}" for k in DEPTHS), "median"):
        table.add_column(name, justify="right")
    rows = [*report["by"]["language"].items(), ("all", report["all"])]
    for language, scores in rows:
        first, second = (scores[direction][s] for s in ("first_stage", "reranked"))
        recalls = [first["recall_at_1"], *(second[f"recall_at_{k}"] for k in DEPTHS)]
        table.add_row(
            language,
            str(second["count"]),
            *(f"{value:.1f}" for value in recalls),
            f"{second['median_rank']:g}",
            end_section=language == rows[-2][0],
        )
    return table
