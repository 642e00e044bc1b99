"""One process that serves an application until a signal ends it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unified_vl.serving.limits import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LEAVE = 5.0  # seconds after `Limits.seconds` when what is in flight is given up
CONNECTIONS = 4  # times the queue; more are refused (503) before they say anything


def run(app: ASGIApp, listener: socket.socket, limits: Limits) -> None:
    """Run an application until a signal ends it."""
    import uvicorn

    with ended_by_signals():
        uvicorn.Server(_config(app, limits)).run(sockets=[listener])


def _config(app: ASGIApp, limits: Limits) -> Any:
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=CONNECTIONS * limits.queue,
        timeout_graceful_shutdown=round(limits.seconds + LEAVE),
    )


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a signal end the server and not the process.

    uvicorn stops by SIGINT and SIGTERM and then raises them again for whoever had them
    before: the process would die with its folders left behind.
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
