"""The page behind its door, on a port of this machine."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.app.examples import find_examples
from unified_vl.app.guard import Guard
from unified_vl.app.inputs import MOST_BYTES
from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.inference.predictor import UnifiedVL

if TYPE_CHECKING:
    from starlette.types import ASGIApp

FONTS = ["system-ui", "sans-serif"]  # the reader's own: a theme's would come from elsewhere
MONO_FONTS = ["ui-monospace", "monospace"]


def require_gradio() -> None:
    """Refuse to go on without Gradio.

    Raises:
        UserError: with the command that installs it.
    """
    require("gradio")


def make_app(predictor: UnifiedVL, name: str, files: Path, examples: Path | None = None) -> ASGIApp:
    """The page of a model as an ASGI application.

    Args:
        predictor: the model.
        name: of the model, for the title.
        files: an empty folder that the page may fill; nothing outside it is served.
        examples: a data root or a folder of images; None for no examples.

    Raises:
        UserError: when Gradio is missing, or there is no example in `examples`.
    """
    require_gradio()
    files = files.resolve()
    shown = (
        {}
        if examples is None
        else find_examples(predictor.specs.values(), examples, files / "examples")
    )
    # Gradio reads these as it is imported and as a page is made
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(files)}
    import gradio as gr
    from fastapi import FastAPI

    from unified_vl.app.page import build_page, style

    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        build_page(predictor, name, shown),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(font=FONTS, font_mono=MONO_FONTS),
        css=style(),
    )
    return Guard(app, files, MOST_BYTES)


def serve(
    predictor: UnifiedVL,
    name: str,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    examples: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until the process is asked to stop (SIGINT or SIGTERM).

    Args:
        predictor: the model.
        name: of the model, for the title.
        host: the address to listen at; the default is reached from this machine only.
        port: 0 takes a free one.
        examples: a data root or a folder of images.
        say: told the page's address once it can be opened.

    Raises:
        UserError: as `make_app`, or when the address cannot be had.
    """
    require_gradio()
    import uvicorn

    with (
        _listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix="unified_vl_page_") as folder,
    ):
        app = make_app(predictor, name, Path(folder), examples)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listener.getsockname()[1]}")
        with _ended_by_signals():
            uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal end the server and not the process.

    uvicorn stops by SIGINT and SIGTERM and then raises them again for whoever had them
    before: the process would die with the page's folder left behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen at {host} port {port}: {error}",
            field="--port",
            expected="a free port and an address of this machine",
        ) from error
