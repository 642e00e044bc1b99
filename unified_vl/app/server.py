"""The page behind its door, on a port of this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.app.examples import find_examples
from unified_vl.app.guard import Guard
from unified_vl.app.inputs import LIMITS, MOST_BYTES
from unified_vl.extras import require
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.serving.door import Keys
from unified_vl.serving.process import run
from unified_vl.serving.server import address, is_loopback, listening
from unified_vl.serving.service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FONTS = ["system-ui", "sans-serif"]  # the reader's own: a theme's would come from elsewhere
MONO_FONTS = ["ui-monospace", "monospace"]


def require_gradio() -> None:
    """Refuse to go on without Gradio.

    Raises:
        UserError: with the command that installs it.
    """
    require("gradio")


def make_app(
    predictor: UnifiedVL,
    name: str,
    files: Path,
    examples: Path | None = None,
    keys: Keys | None = None,
) -> ASGIApp:
    """The page of a model, and the service behind it, as an ASGI application.

    Args:
        predictor: the model.
        name: of the model, for the title.
        files: an empty folder that the page may fill; nothing outside it is served.
        examples: a data root or a folder of images; None for no examples.
        keys: who may ask the service.

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

    from unified_vl.app.page import build_page, style
    from unified_vl.serving.routes import behind_door, make_routes, paths_of

    service = Service(predictor, name, LIMITS, keys)
    routes = make_routes(service)
    paths = paths_of(routes)
    door = behind_door(service, routes)
    app = gr.mount_gradio_app(
        routes,
        build_page(predictor, name, shown, service.asker.ask),
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
    guard = Guard(app, files, MOST_BYTES, keys=keys)
    return _Entrance(door, guard, paths)


class _Entrance:
    """Leads requests to the service's paths through its door, and all others to the page's guard.

    Args:
        door: of the service.
        guard: of the page.
        paths: of the service.
    """

    def __init__(self, door: ASGIApp, guard: ASGIApp, paths: Container[str]) -> None:
        self._door = door
        self._guard = guard
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_service = scope["type"] == "http" and scope["path"] in self._paths
        await (self._door if of_service else self._guard)(scope, receive, send)


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
    with (
        listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix="unified_vl_page_") as folder,
    ):
        keys = Keys(by_address=is_loopback(host))
        app = make_app(predictor, name, Path(folder), examples, keys)
        say(address(host, listener))
        run(app, listener, LIMITS)
