"""`unified-vl index`: compute what a search in a collection needs, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.options import Device


def index(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    corpus: Annotated[
        Path,
        typer.Argument(
            help="A folder of images or of videos, a .txt file of texts, or a .jsonl file with an "
            "`image`, a `video` or a `text` a row."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The index; CORPUS.index beside the collection unless given."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of texts that name none: de, zh, ...")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SPEC",
            help="Of videos: the captioning task that says which frames are read; the only one "
            "unless given.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Index images, videos or texts for `unified-vl retrieve`; what cannot be read is named and
    left out."""
    from rich.console import Console
    from rich.progress import Progress

    from unified_vl.errors import BadRow, number_of, visible
    from unified_vl.image_formats import named
    from unified_vl.inference.folders import unread_below, videos_below
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.inference.retrieval.corpus import read_corpus
    from unified_vl.inference.retrieval.index import build_index
    from unified_vl.inference.retrieval.retriever import known_languages
    from unified_vl.locks import only_writer

    path = output or corpus.with_name(f"{corpus.name}.index")
    predictor = UnifiedVL.from_pretrained(model, device)
    read = read_corpus(corpus, known_languages(predictor), language)
    console = Console(stderr=True, highlight=False)
    bars = Progress(console=console, disable=not console.is_terminal)
    with only_writer(path), bars as progress:
        bar = progress.add_task("indexing", total=len(read.items))

        def on_bad(error: BadRow) -> None:
            console.print(visible(f"left out: {error}"), markup=False, soft_wrap=True)

        built = build_index(
            predictor,
            read,
            on_bad,
            lambda done, total: progress.update(bar, completed=done, total=total),
            task,
        )
        built.save(path)
    if corpus.is_dir() and (others := unread_below(corpus)):
        console.print(
            f"{number_of(len(others), 'image')} in other formats left out: {named(others)}"
        )
    if corpus.is_dir() and built.modality == "image" and (films := videos_below(corpus)):
        console.print(f"{number_of(len(films), 'video')} beside images left out: {named(films)}")
    console.print(number_of(len(built), built.modality))
    typer.echo(str(path))
