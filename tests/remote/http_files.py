"""A folder over HTTP, with whatever may go wrong there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Served:
    """A running server.

    Attributes:
        url: of its folder.
        asked: the paths of all files that were asked for by GET.
        faults: by path: the status to answer with; 0 to end in the middle of the file.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.faults: dict[str, int] = {}


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder from another thread."""
    state = Served("")

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self._answer(super().do_GET)

        def do_HEAD(self) -> None:
            self._answer(super().do_HEAD)

        def _answer(self, usual: object) -> None:
            fault = state.faults.get(self.path)
            if fault is None:
                assert callable(usual)
                usual()
            elif fault:
                self.send_error(fault)
            else:
                content = Path(self.translate_path(self.path)).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    state.url = f"http://127.0.0.1:{server.server_port}"
    with answering(server):
        yield state


@contextmanager
def answering(server: ThreadingHTTPServer) -> Iterator[None]:
    """A server answers inside, in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
