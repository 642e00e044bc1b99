"""`unified-vl retrieve`: find images, videos and texts by one of these."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import Annotated, Literal

import typer

from unified_vl.cli.options import Device
from unified_vl.errors import UserError, visible


def retrieve(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    index: Annotated[Path, typer.Argument(help="An index that `unified-vl index` wrote.")],
    text: Annotated[str | None, typer.Option(help="The query, in any language.")] = None,
    image: Annotated[Path | None, typer.Option(help="The query, in place of a text.")] = None,
    video: Annotated[
        Path | None, typer.Option(help="Likewise: a video file, or a folder of frames.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of --text: de, zh, ...")] = None,
    top: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to print.")] = 10,
    candidates: Annotated[
        int,
        typer.Option(
            min=0, max=1_000_000, help="How many of the first stage are scored again; 0 for none."
        ),
    ] = 10,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SPEC",
            help="Scores by this captioning or matching task; the captioning task unless given.",
        ),
    ] = None,
    yes: Annotated[
        str, typer.Option(help="The answer of a matching task that says they belong together.")
    ] = "yes",
    rerank: Annotated[
        Literal["task", "matching"],
        typer.Option(help="What scores again: a task, or the model's matching head."),
    ] = "task",
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters of the data as they are.")
    ] = False,
) -> None:
    """Print what of a collection fits a text, image or video best: score, then file or text."""
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.inference.retrieval.retriever import Retriever

    given = sum(query is not None for query in (text, image, video))
    if given != 1:
        raise UserError(
            f"{given} queries are given" if given else "the query is missing",
            file="command line",
            expected="one of --text, --image and --video",
        )
    retriever = Retriever(UnifiedVL.from_pretrained(model, device), index, task, yes, rerank)
    query = {"image": image, "video": video}
    for hit in retriever.search(text, language, **query, top=top, candidates=candidates):
        shown = hit.text if hit.path is None else hit.path
        row = encoder.dumps(hit.as_row(), ensure_ascii=False)
        line = row if json else f"{hit.score:.3f}\t{shown}"
        typer.echo(line if raw else visible(line), color=raw or None)
