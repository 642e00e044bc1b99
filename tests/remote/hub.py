"""A folder as a data set of the Hub, over HTTP: as much of it as `HfFileSystem` asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.remote.http_files import answering

NAME = "ann/photos"
_DATASET = f"/api/datasets/{NAME}"
_TREE = f"{_DATASET}/tree/main"
_FILES = f"/datasets/{NAME}/resolve/main/"


class Hub:
    """A running server.

    Attributes:
        address: of it.
        asked: all paths that were asked for.
        private: whether it wants a token, which nobody has.
    """

    def __init__(self) -> None:
        self.address = ""
        self.asked: list[str] = []
        self.private = False


def entry(root: Path, path: Path) -> dict[str, Any]:
    """A file or a folder in the answer to `tree`."""
    name = path.relative_to(root).as_posix()
    if path.is_dir():
        return {"type": "directory", "oid": "0", "size": 0, "path": name}
    content = path.read_bytes()
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "oid": oid, "size": len(content), "path": name}


@contextmanager
def hub(root: Path) -> Iterator[Hub]:
    """Serve a folder as the data set `NAME` from another thread."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            state.asked.append(path)
            if state.private:
                self._send(b"", 401)
            elif path in (_DATASET, f"{_DATASET}/revision/main"):
                self._send(json.dumps({"id": NAME, "sha": "0"}).encode())
            elif path.startswith(_TREE) and (root / path[len(_TREE) + 1 :]).is_dir():
                inside = sorted((root / path[len(_TREE) + 1 :]).iterdir())
                self._send(json.dumps([entry(root, each) for each in inside]).encode())
            elif path.startswith(_FILES) and (root / path[len(_FILES) :]).is_file():
                self._send((root / path[len(_FILES) :]).read_bytes())
            else:
                code = "EntryNotFound" if NAME in path else "RepoNotFound"
                self._send(b"", 404, code)

        def _send(self, content: bytes, status: int = 200, code: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}"
    with answering(server):
        yield state
