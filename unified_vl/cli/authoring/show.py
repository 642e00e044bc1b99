"""`unified-vl show`: what the model will really see of a task."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MOST_LEFT_OUT = 10  # that are named


class Split(StrEnum):
    """The splits of a task."""

    train = "train"
    validation = "validation"
    test = "test"


def show(
    spec: Annotated[Path, typer.Argument(help="A task spec.")],
    data: Annotated[Path | None, typer.Option(help="The data root.")] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="A run file: show what its model will see, augmented as it says. Its data root, "
            "image size, longest source and target, and its tokenizer if that is there, unless "
            "options say others."
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many rows.")] = 3,
    split: Annotated[Split, typer.Option(help="The split.")] = Split.train,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Show the ids that this tokenizer gives.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the images and their boxes.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=1 << 13, help="Side of the network's images; else 64.")
    ] = None,
    image_tokens: Annotated[
        int | None, typer.Option(min=1, max=1 << 20, help="Tokens of an image; else 16.")
    ] = None,
    max_source: Annotated[
        int | None, typer.Option(min=2, max=1 << 20, help="Longest source, in tokens; else 256.")
    ] = None,
    max_target: Annotated[
        int | None, typer.Option(min=2, max=1 << 20, help="Longest target, in tokens; else 128.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters of the data as they are.")
    ] = False,
) -> None:
    """Show rows of a task as source and target, as ids with a tokenizer, and what is lost."""
    from unified_vl.authoring.checking.tokens import Sizes, load_codec, sizes_of, started
    from unified_vl.authoring.page import as_html
    from unified_vl.authoring.show import as_text, show_rows
    from unified_vl.errors import BadRow, UserError, visible
    from unified_vl.files import write_atomically
    from unified_vl.specs.load import load_run, load_task
    from unified_vl.specs.runs.augment_rules import taken

    sizes = Sizes((64, 64), 16, 256, 128)
    of_run = None
    if run is not None:
        of_run = load_run(run)
        sizes, data = sizes_of(*started(of_run)), data or of_run.data
        if tokenizer is None and of_run.tokenizer.is_dir():
            tokenizer = of_run.tokenizer
    if data is None:
        expected = "--data FOLDER, or --run FILE of a run that names one"
        raise UserError("no data root is given", file="command line", expected=expected)
    sizes = Sizes(
        sizes.image_size if image_size is None else (image_size, image_size),
        image_tokens or sizes.image_tokens,
        max_source or sizes.max_source,
        max_target or sizes.max_target,
        sizes.fit,
        sizes.around_image,
        sizes.region_sizes,
    )
    task = load_task(spec)
    codec = load_codec(tokenizer, **sizes._asdict())
    left_out: list[BadRow] = []
    shown = show_rows(
        task,
        data,
        split=split.value,
        count=count,
        image_size=sizes.image_size,
        fit=sizes.fit,
        codec=codec,
        augment=() if of_run is None else taken(of_run.augment, task),
        left_out=left_out.append,
    )
    text = "\n\n".join(as_text(each, codec) for each in shown)
    print(text if raw else visible(text))
    for error in left_out[:MOST_LEFT_OUT]:
        print(visible(f"left out: {error}"), file=sys.stderr)
    if len(left_out) > MOST_LEFT_OUT:
        print(f"left out: {len(left_out) - MOST_LEFT_OUT} more", file=sys.stderr)
    if html is not None:
        write_atomically(html, as_html(task, shown, codec, left_out))
        print(f"wrote {html}", file=sys.stderr)
