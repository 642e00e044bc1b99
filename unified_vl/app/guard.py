"""The door of the page: only what it needs goes in, and no file but its own comes out.

Gradio serves many routes that this page has no use for (files by path, a proxy, its API's
description), fetches what an input names by path or address, and trusts bodies of any
length. What is not on the lists below is refused before Gradio sees it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_vl.serving.door import Keys
from unified_vl.serving.faults import Fault

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/gradio_api"
JOIN, UPLOAD, FILE = f"{API}/queue/join", f"{API}/upload", f"{API}/file="
PAGES = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", f"{API}/queue/data")
BELOW = ("/assets/", "/static/", f"{API}/heartbeat/", f"{API}/upload_progress")
MOST_BYTES_IN_ALL = 1 << 30  # of all uploads and answers that lie in the page's folder
MOST_BYTES_OF_FORM = 1_000_000  # what an event may hold; images are uploaded beforehand
HEADERS = {
    "content-security-policy": "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "  # Gradio compiles its templates
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'self'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """ASGI middleware around the page.

    Args:
        app: the page.
        files: the folder of uploads, answers and examples; nothing outside it is served or
            taken for an upload.
        most_bytes: of an uploaded file.
        most_in_all: bytes of all files in the folder; an upload beyond is refused (507).
        keys: who may ask; None lets everybody in.
    """

    def __init__(
        self,
        app: ASGIApp,
        files: Path,
        most_bytes: int,
        most_in_all: int = MOST_BYTES_IN_ALL,
        keys: Keys | None = None,
    ) -> None:
        self.keys = keys
        self.app = app
        self.files = files.resolve()
        self.most_in_all = most_in_all
        self.most = {JOIN: MOST_BYTES_OF_FORM, UPLOAD: most_bytes + 10_000}  # and its frame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        status = self._refused(scope) if scope["type"] == "http" else 403
        if status is None and scope["path"] == JOIN:
            body = await _body(receive)
            receive = _again(body, receive)
            if not self._names_own_files(body):
                status = 403
        if status is not None:
            await _answer(status, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> int | None:
        """The status of a request that is refused."""
        path, method = scope["path"], scope["method"]
        if self.keys is not None:
            try:
                self.keys.check(path, dict(scope["headers"]))
            except Fault as fault:
                return fault.status
        if method == "POST" and path in self.most:
            length = dict(scope["headers"]).get(b"content-length", b"")
            if not length.isdigit():
                return 411
            if int(length) > self.most[path]:
                return 413
            full = path == UPLOAD and self._held() + int(length) > self.most_in_all
            return 507 if full else None
        if method not in ("GET", "HEAD"):
            return 405 if path in PAGES else 404
        if path.startswith(FILE):
            return None if self._is_own(path.removeprefix(FILE)) else 403
        return None if path in PAGES or path.startswith(BELOW) else 404

    def _held(self) -> int:
        """Bytes of the files in the folder; the page deletes those of an hour ago."""
        found = 0
        for path in self.files.rglob("*"):
            with suppress(OSError):  # it may go meanwhile
                found += path.lstat().st_size
        return found

    def _is_own(self, name: object) -> bool:
        try:
            path = Path(str(name)).resolve()
            return path.is_relative_to(self.files) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL byte, a link to itself
            return False

    def _names_own_files(self, body: bytes) -> bool:
        """Whether every file that an event names was uploaded before."""
        try:
            files = list(_objects(json.loads(body)))
        except (ValueError, RecursionError):
            return False
        return all(self._is_own(one["path"]) for one in files if "path" in one)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A receiver of a body that was read."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay


async def _answer(status: int, send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"refused"})
