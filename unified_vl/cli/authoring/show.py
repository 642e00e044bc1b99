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
    data: Annotated[Path, typer.Option(help="The data root.")],
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many rows.")] = 3,
    split: Annotated[Split, typer.Option(help="The split.")] = Split.train,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Show the ids that this tokenizer gives.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the images and their boxes.")
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=1, max=1 << 13, help="Side of the network's images.")
    ] = 64,
    image_tokens: Annotated[int, typer.Option(min=1, max=1 << 20, help="Tokens of an image.")] = 16,
    max_source: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Longest source, in tokens.")
    ] = 256,
    max_target: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Longest target, in tokens.")
    ] = 128,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print control characters of the data as they are.")
    ] = False,
) -> None:
    """Show rows of a task as source and target, as ids with a tokenizer, and what is lost."""
    from unified_vl.authoring.checking.tokens import load_codec
    from unified_vl.authoring.page import as_html
    from unified_vl.authoring.show import as_text, show_rows
    from unified_vl.errors import BadRow, visible
    from unified_vl.files import write_atomically
    from unified_vl.specs.load import load_task

    size = (image_size, image_size)
    task = load_task(spec)
    codec = load_codec(
        tokenizer,
        image_size=size,
        image_tokens=image_tokens,
        max_source=max_source,
        max_target=max_target,
    )
    left_out: list[BadRow] = []
    shown = show_rows(
        task,
        data,
        split=split.value,
        count=count,
        image_size=size,
        codec=codec,
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
