"""The service on a port: one process, or several that share it."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.serving.door import Keys
from unified_vl.serving.limits import Limits
from unified_vl.serving.metrics import OF_SEVERAL

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from unified_vl.serving.service import Service

LEAVE = 5.0  # seconds after `Limits.seconds` when what is in flight is given up
CONNECTIONS = 4  # times the queue; more are refused (503) before they say anything


@dataclass(frozen=True)
class Served:
    """A model to serve, as each worker loads it.

    Attributes:
        model: its directory.
        name: of it.
        device: as `UnifiedVL.from_pretrained` takes it.
        index: a directory that `unified-vl index` wrote.
        limits: what is refused.
        keys: who may ask.
        allow_urls: whether images may be named by http(s) addresses.
        workers: how many processes share the machine's cores.
    """

    model: Path
    name: str
    device: str = "auto"
    index: Path | None = None
    limits: Limits = field(default_factory=Limits)
    keys: Keys = field(default_factory=Keys)
    allow_urls: bool = False
    workers: int = 1

    def service(self) -> Service:
        """Load the model.

        Raises:
            UserError: when the model or the index cannot be read.
        """
        from unified_vl.inference.retrieval.retriever import Retriever
        from unified_vl.serving.service import Service

        predictor = UnifiedVL.from_pretrained(self.model, self.device)
        retriever = None if self.index is None else Retriever(predictor, self.index)
        return Service(predictor, self.name, self.limits, self.keys, retriever)

    def __call__(self) -> ASGIApp:
        """The application, as a worker makes it."""
        import torch

        if self.workers > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.workers))
        from unified_vl.serving.routes import behind_door, make_routes

        service = self.service()
        return behind_door(service, make_routes(service))


def serve(
    served: Served,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    say: Callable[[str], None] = print,
) -> None:
    """Serve a model until the process is asked to stop (SIGINT or SIGTERM); what was taken on by
    then is answered.

    Args:
        served: the model.
        host: the address to listen at; the default is reached from this machine only.
        port: 0 takes a free one.
        say: told the address once it can be asked.

    Raises:
        UserError: when a package is missing, the model or the index cannot be read, or the address
            cannot be had.
    """
    require("fastapi", "uvicorn", "python_multipart", "prometheus_client")
    with listening(host, port) as listener:
        if served.workers == 1:
            app = served()
            say(address(host, listener))
            run(app, listener, served.limits)
            return
        with tempfile.TemporaryDirectory(prefix="unified_vl_counts_") as folder:
            os.environ[OF_SEVERAL] = folder
            _run_several(served, listener, lambda: say(address(host, listener)))


def run(app: ASGIApp, listener: socket.socket, limits: Limits) -> None:
    """Run an application until a signal ends it."""
    import uvicorn

    with ended_by_signals():
        uvicorn.Server(_config(app, limits)).run(sockets=[listener])


def _run_several(served: Served, listener: socket.socket, say: Callable[[], None]) -> None:
    """Run workers, and start others in the place of those that die."""
    from uvicorn.supervisors import Multiprocess

    config = _config(served, served.limits, factory=True, workers=served.workers)
    listener.set_inheritable(True)
    with ended_by_signals():
        supervisor = Multiprocess(config, sockets=[listener])
        say()
        supervisor.run()


def _config(app: Any, limits: Limits, **more: Any) -> Any:
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
        **more,
    )


def address(host: str, listener: socket.socket) -> str:
    """What to open, or to ask."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    return host in ("localhost", "::1") or host.startswith("127.")


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


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: when the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen at {host} port {port}: {error}",
            field="--port",
            expected="a free port and an address of this machine",
        ) from error
