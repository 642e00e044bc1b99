"""`unified-vl app`: a page to play with a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.options import Device


def app(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    examples: Annotated[
        Path | None,
        typer.Option(
            help="A data root or a folder of images to choose examples from; unless given, "
            "MODEL/examples where there is one."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    device: Device = "auto",
) -> None:
    """Open a page on which a person asks a model, with every one of its tasks."""
    from rich.console import Console

    from unified_vl.app.server import require_gradio, serve
    from unified_vl.inference.predictor import UnifiedVL

    require_gradio()
    predictor = UnifiedVL.from_pretrained(model, device)
    carried = model / "examples"
    if examples is None and carried.is_dir():
        examples = carried
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    serve(
        predictor,
        model_name(model),
        host=host,
        port=port,
        examples=examples,
        say=lambda address: console.print(f"open {address} (Ctrl-C ends it)"),
    )


def model_name(model: Path) -> str:
    """What a model is called: its folder, or its run where that is just `model`."""
    path = model.resolve()
    return path.parent.name if path.name == "model" else path.name
