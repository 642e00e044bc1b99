"""Several processes that serve one port, and another in the place of one that dies."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from unified_vl.errors import UserError
from unified_vl.serving.process import run

if TYPE_CHECKING:
    from unified_vl.serving.server import Served

AGAIN = 1.0  # seconds before another worker takes the place of a dead one


class Workers:
    """The workers of a service.

    Args:
        served: what each serves.
        listener: the socket that they share.
    """

    def __init__(self, served: Served, listener: socket.socket) -> None:
        self._served = served
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._hears, self._tells = self._context.Pipe(duplex=False)
        self._processes: list[SpawnProcess] = []
        self._ending = False

    def run(self, say: Callable[[], None]) -> None:
        """Serve until a signal ends it (SIGINT or SIGTERM), and all is answered.

        Args:
            say: called once the first worker can be asked.

        Raises:
            UserError: that a worker met as it loaded the model.
        """
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, self._end)
        self._processes = [self._start() for _ in range(self._served.workers)]
        try:
            while not self._ending:
                sentinels = [process.sentinel for process in self._processes]
                wait([self._hears, *sentinels], timeout=0.5)
                if self._hears.poll():
                    said = self._hears.recv()
                    if said:
                        raise UserError(said)
                    say()
                    say = _nothing
                self._replace_dead()
        finally:
            for process in self._processes:
                if process.is_alive():
                    process.terminate()
            for process in self._processes:
                process.join()

    def _start(self) -> SpawnProcess:
        arguments = (self._served, self._listener, self._tells)
        process = self._context.Process(target=work, args=arguments)
        process.start()
        return process

    def _replace_dead(self) -> None:
        for place, process in enumerate(self._processes):
            if not process.is_alive() and not self._ending and not self._hears.poll():
                print(f"a worker ended with {process.exitcode}; another starts", file=sys.stderr)
                time.sleep(AGAIN)
                self._processes[place] = self._start()

    def _end(self, *_: object) -> None:
        self._ending = True


def _nothing() -> None:
    """What is said but once."""


def work(served: Served, listener: socket.socket, tells: Connection) -> None:
    """What a worker does: load the model, tell "" or what is wrong with it, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's whole group: the parent's
    try:
        app = served()
    except UserError as error:
        tells.send(str(error))
        return
    tells.send("")
    run(app, listener, served.limits)
