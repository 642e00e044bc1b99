"""`unified-vl tokenizer train`: a SentencePiece model and its vocabulary from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application

tokenizer_app = Application(help="Text tokenizers.")


@tokenizer_app.callback()
def _tokenizer() -> None:
    """Text tokenizers."""


@tokenizer_app.command("train")
def train_tokenizer(
    output: Annotated[Path, typer.Option(help="Directory to write.")],
    specs: Annotated[
        list[Path] | None,
        typer.Option(
            "--spec", help="Spec, mixture, run or folder of specs; its text is learnt from."
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that the specs' paths start from.")] = Path(),
    inputs: Annotated[
        list[Path] | None, typer.Option("--input", help="Text file, a text a line.")
    ] = None,
    vocabulary_size: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Most pieces to learn.")
    ] = 32000,
    image_tokenizer: Annotated[
        Path | None,
        typer.Option(help="Image tokenizer, for tasks that read or write images in codes."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the tokenizer that the directory holds."),
    ] = False,
) -> None:
    """Train a SentencePiece tokenizer on the text of specs, of files, or of both."""
    from unified_vl.codecs.sequence import VOCABULARY
    from unified_vl.codecs.texts.loading import text_files
    from unified_vl.errors import UserError
    from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
    from unified_vl.specs.load import load_tasks
    from unified_vl.training.tokenizer_training import (
        texts_of_files,
        texts_of_specs,
        train_tokenizer,
    )

    if not overwrite and (text_files(output) or (output / VOCABULARY).exists()):
        raise UserError(
            "holds a tokenizer already; models that were trained with it need it",
            file=output,
            expected="another directory, or --overwrite",
        )
    tasks = load_tasks(specs or [])
    texts = [*texts_of_specs(tasks, data), *texts_of_files(inputs or [])]
    images = None if image_tokenizer is None else ImageTokenizer.from_pretrained(image_tokenizer)
    vocabulary = train_tokenizer(texts, tasks, output, vocabulary_size, images, tell=typer.echo)
    typer.echo(
        f"{output}: {vocabulary.text_size} pieces of text, {len(vocabulary.tags)} tags, "
        f"{vocabulary.location_bins} locations, {vocabulary.image_code_count} image codes"
    )
