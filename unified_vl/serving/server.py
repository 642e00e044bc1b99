"""The service on a port: one process, or several that share it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unified_vl.errors import UserError
from unified_vl.extras import require
from unified_vl.serving.door import Keys
from unified_vl.serving.limits import Limits
from unified_vl.serving.metrics import OF_SEVERAL
from unified_vl.serving.process import ended_by_signals, run
from unified_vl.serving.workers import Workers

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from unified_vl.serving.service import Service


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
        from unified_vl.inference.predictor import UnifiedVL
        from unified_vl.inference.retrieval.retriever import Retriever
        from unified_vl.serving.service import Service
        from unified_vl.serving.wire.fetching import Fetcher

        predictor = UnifiedVL.from_pretrained(self.model, self.device)
        retriever = None if self.index is None else Retriever(predictor, self.index)
        fetch = Fetcher(self.limits.file) if self.allow_urls else None
        return Service(predictor, self.name, self.limits, self.keys, retriever, fetch)

    def __call__(self) -> ASGIApp:
        """The application, as a worker makes it."""
        import torch

        from unified_vl.serving.routes import behind_door, make_routes

        if self.workers > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.workers))
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
            with ended_by_signals():
                Workers(served, listener).run(lambda: say(address(host, listener)))


def address(host: str, listener: socket.socket) -> str:
    """What to open, or to ask."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    return host in ("localhost", "::1") or host.startswith("127.")


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
