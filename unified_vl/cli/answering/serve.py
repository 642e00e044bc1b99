"""`unified-vl serve`: a saved model over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_vl.cli.options import Device

LIMITS = "What is refused"


def serve(
    model: Annotated[Path, typer.Argument(help="The directory of a saved model.")],
    index: Annotated[
        Path | None, typer.Option(help="An index that `unified-vl index` wrote, for /retrieve.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="UNIFIED_VL_TOKEN",
            show_envvar=True,
            help="What requests must bear: Authorization: Bearer TOKEN. Others can read options "
            "of a process: better set the variable.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes, each with the model.")
    ] = 1,
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Most requests that are answered together.")
    ] = 32,
    wait_ms: Annotated[
        float,
        typer.Option(
            min=0, max=1000, help="How long a request waits for others that are on their way."
        ),
    ] = 10.0,
    queue: Annotated[
        int,
        typer.Option(
            min=1,
            max=100_000,
            help="Requests that a worker takes on at once; more get 429.",
            rich_help_panel=LIMITS,
        ),
    ] = 256,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1, max=3600, help="Seconds that a request may take.", rich_help_panel=LIMITS
        ),
    ] = 60.0,
    max_bytes: Annotated[
        int,
        typer.Option(
            min=1000, max=1 << 30, help="Of a request, and of an image.", rich_help_panel=LIMITS
        ),
    ] = 32_000_000,
    max_pixels: Annotated[
        int, typer.Option(min=1, max=64_000_000, help="Of an image.", rich_help_panel=LIMITS)
    ] = 25_000_000,
    allow_urls: Annotated[
        bool,
        typer.Option(
            "--allow-urls",
            help="Fetch images that requests name by http(s) addresses of the public internet.",
        ),
    ] = False,
    device: Device = "auto",
) -> None:
    """Serve a model over HTTP: /predict, /tasks, /health, /metrics and OpenAI's /v1."""
    from rich.console import Console

    from unified_vl.cli.answering.app import model_name
    from unified_vl.errors import UserError
    from unified_vl.serving.door import Keys
    from unified_vl.serving.limits import Limits
    from unified_vl.serving.server import Served, is_loopback
    from unified_vl.serving.server import serve as serve_model

    if token is not None and (not token.strip() or not token.isascii()):
        raise UserError("is empty or not ASCII", file="command line", field="--token")
    limits = Limits(
        body=max_bytes,
        file=max_bytes,
        pixels=max_pixels,
        queue=queue,
        seconds=timeout,
        batch_size=batch_size,
        wait=wait_ms / 1000,
    )
    keys = Keys(token, by_address=token is None and is_loopback(host))
    served = Served(model, model_name(model), device, index, limits, keys, allow_urls, workers)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    serve_model(
        served,
        host=host,
        port=port,
        say=lambda address: console.print(f"serving {address} (Ctrl-C ends it)"),
    )
