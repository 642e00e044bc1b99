"""`unified-vl tokenizer`: a text tokenizer and its vocabulary, from texts or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_vl.cli.application import Application

if TYPE_CHECKING:
    from unified_vl.codecs.vocabulary import Vocabulary

tokenizer_app = Application(help="Text tokenizers.")


@tokenizer_app.callback()
def _tokenizer() -> None:
    """Text tokenizers."""


Output = Annotated[Path, typer.Option(help="Directory to write.")]
Data = Annotated[Path, typer.Option(help="Folder that the specs' paths start from.")]
ImageTokenizerOption = Annotated[
    Path | None,
    typer.Option(
        "--image-tokenizer",
        help="Image tokenizer, for tasks that read or write images in codes.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the tokenizer that the directory holds."),
]


@tokenizer_app.command("train")
def train_tokenizer(
    output: Output,
    specs: Annotated[
        list[Path] | None,
        typer.Option(
            "--spec", help="Spec, mixture, run or folder of specs; its text is learnt from."
        ),
    ] = None,
    data: Data = Path(),
    inputs: Annotated[
        list[Path] | None, typer.Option("--input", help="Text file, a text a line.")
    ] = None,
    vocabulary_size: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Most pieces to learn.")
    ] = 32000,
    image_tokenizer: ImageTokenizerOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a SentencePiece tokenizer on the text of specs, of files, or of both."""
    from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
    from unified_vl.specs.load import load_tasks
    from unified_vl.training.tokenizers.tokenizer_training import (
        texts_of_files,
        texts_of_specs,
        train_tokenizer,
    )

    _refuse_to_replace(output, overwrite)
    tasks = load_tasks(specs or [])
    texts = [*texts_of_specs(tasks, data), *texts_of_files(inputs or [])]
    images = None if image_tokenizer is None else ImageTokenizer.from_pretrained(image_tokenizer)
    vocabulary = train_tokenizer(texts, tasks, output, vocabulary_size, images, tell=typer.echo)
    _tell(output, vocabulary)


@tokenizer_app.command("adopt")
def adopt_tokenizer(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Directory of a public checkpoint, or its name on the hub."
        ),
    ],
    output: Output,
    specs: Annotated[
        list[Path],
        typer.Option("--spec", help="Spec, mixture, run or folder of specs; they get tags."),
    ],
    data: Data = Path(),
    trim: Annotated[
        bool,
        typer.Option(
            "--trim",
            help="Keep only the pieces that the specs' texts use, single characters and bytes.",
        ),
    ] = False,
    image_tokenizer: ImageTokenizerOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Take over the tokenizer of a public checkpoint: T5 and its kin, ByT5, byte-level BPE."""
    from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer
    from unified_vl.model.pretrained.opening import directory_of
    from unified_vl.specs.load import load_tasks
    from unified_vl.training.tokenizers.tokenizer_adoption import adopt_tokenizer
    from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs

    _refuse_to_replace(output, overwrite)
    tasks = load_tasks(specs)
    images = None if image_tokenizer is None else ImageTokenizer.from_pretrained(image_tokenizer)
    vocabulary = adopt_tokenizer(
        directory_of(source),
        tasks,
        output,
        texts=texts_of_specs(tasks, data) if trim else None,
        image_tokenizer=images,
        tell=typer.echo,
    )
    _tell(output, vocabulary)


def _refuse_to_replace(output: Path, overwrite: bool) -> None:
    from unified_vl.codecs.sequence import VOCABULARY
    from unified_vl.codecs.texts.loading import text_files
    from unified_vl.errors import UserError

    if not overwrite and (text_files(output) or (output / VOCABULARY).exists()):
        raise UserError(
            "holds a tokenizer already; models that were trained with it need it",
            file=output,
            expected="another directory, or --overwrite",
        )


def _tell(output: Path, vocabulary: Vocabulary) -> None:
    typer.echo(
        f"{output}: {vocabulary.text_size} pieces of text, {len(vocabulary.tags)} tags, "
        f"{vocabulary.location_bins} locations, {vocabulary.image_code_count} image codes"
    )


@tokenizer_app.command("extend")
def extend_tokenizer(
    tokenizer: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a tokenizer.")],
    output: Output,
    specs: Annotated[
        list[Path],
        typer.Option("--spec", help="Spec, mixture, run or folder of specs; its tags are added."),
    ],
    data: Data = Path(),
    pieces: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Most pieces to learn from the specs' text.")
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Add the tags of specs to a tokenizer, and pieces for their text; all ids stay as they are."""
    from unified_vl.errors import number_of
    from unified_vl.specs.load import load_tasks
    from unified_vl.training.tokenizers import tokenizer_extension
    from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs

    _refuse_to_replace(output, overwrite)
    tasks = load_tasks(specs)
    texts = texts_of_specs(tasks, data) if pieces else ()
    done = tokenizer_extension.extend_tokenizer(tokenizer, output, tasks, texts, pieces)
    named = f" ({', '.join(done.tags)})" if done.tags else ""
    tags, new = number_of(len(done.tags), "new tag"), number_of(len(done.pieces), "new piece")
    typer.echo(f"{output}: {tags}{named}, {new}")
    if done.pieces:
        ids = number_of(done.ids_after, "id")
        typer.echo(f"the specs' text takes {ids}, {done.ids_before:,} before")
