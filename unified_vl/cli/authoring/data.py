"""`unified-vl data`: write the data sets that come with the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.application import Application

data_app = Application(help="Write the data sets that come with the project.")


@data_app.callback()
def data() -> None:
    """Write the data sets that come with the project."""


@data_app.command("emoji-world")
def emoji_world(
    output: Annotated[Path, typer.Option(help="Directory to write: the data root of the specs.")],
    concepts: Annotated[int, typer.Option(help="How many emoji.")] = 48,
    train_scenes: Annotated[int, typer.Option(help="Pictures to train on.")] = 20_000,
    validation_scenes: Annotated[int, typer.Option(help="Pictures to validate on.")] = 200,
    test_scenes: Annotated[int, typer.Option(help="Pictures to test on.")] = 300,
    image_size: Annotated[int, typer.Option(help="Width and height of a picture.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn at random.")] = 0,
    clips: Annotated[
        int, typer.Option(help="Moving scenes to train on, with tasks about them (docs/video.md).")
    ] = 0,
) -> None:
    """Write Emoji World: scenes of emoji, their names in 14 languages, and easy-VQA."""
    from rich.console import Console

    from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

    options = EmojiWorldOptions(
        concepts=concepts,
        train_scenes=train_scenes,
        validation_scenes=validation_scenes,
        test_scenes=test_scenes,
        image_size=image_size,
        seed=seed,
        clips=clips,
    )
    with show_writing() as show:
        written = write_emoji_world(output, options, show)
    if not written:
        Console(stderr=True, highlight=False).print(
            "this Emoji World is there already and is used as it is"
        )
    typer.echo(str(output))


@contextmanager
def show_writing() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage on a terminal, a line a stage elsewhere, on stderr."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True, highlight=False)
    stages: dict[str, TaskID] = {}
    with Progress(console=console, disable=not console.is_terminal) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
                if not console.is_terminal:
                    console.print(f"writing {stage}")
            bars.update(stages[stage], completed=done)

        yield show
