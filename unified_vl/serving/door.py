"""The door of the service: who may ask, how much at once, and for how long."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from unified_vl.serving.faults import Fault, TooLarge, body_of, to_json
from unified_vl.serving.limits import Limits
from unified_vl.serving.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/health",)  # to everybody: what keeps services alive has no token


@dataclass(frozen=True)
class Keys:
    """Who may ask.

    Attributes:
        token: that requests must bear; None asks for none.
        by_address: whether requests must name this machine by its address or as `localhost`. A
            page of another site could otherwise ask a server that listens for this machine alone,
            once its own name leads here (DNS rebinding).
    """

    token: str | None = field(default=None, repr=False)
    by_address: bool = False

    def check(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Let a request pass.

        Raises:
            Fault: 401 or 403.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if self.by_address and not _is_address(host):
            raise Fault(
                f"this server is not called {host[:100]!r}", status=403, expected="localhost"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin != "null" and urlsplit(origin).netloc.lower() != host.lower():
            raise Fault("pages of other sites may not ask this server", status=403)
        if origin == "null":
            raise Fault("pages of no site may not ask this server", status=403)
        if self.token is None or path in OPEN:
            return
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            raise Fault(
                "the token is missing or wrong",
                status=401,
                expected="the header Authorization: Bearer TOKEN",
                headers={"www-authenticate": "Bearer"},
            )


def _is_address(host: str) -> bool:
    """Whether a Host header names a machine by its address, or this one as `localhost`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Door:
    """ASGI middleware around the service.

    Args:
        app: the service.
        paths: that are counted by their names; others are counted together.
        limits: `body`, `queue`, `held` and `seconds` count.
        keys: who may ask.
        metrics: told of each request.
        seconds_ahead: about how long a request would wait now.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Iterable[str],
        limits: Limits,
        keys: Keys,
        metrics: Metrics,
        seconds_ahead: Callable[[], float],
    ) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.limits = limits
        self.keys = keys
        self.metrics = metrics
        self.seconds_ahead = seconds_ahead
        self.taken = 0
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        started = time.monotonic()
        path = scope["path"]
        known = path if path in self.paths else "other"
        passing = _Passing(self, scope, receive, send)
        try:
            await passing.run()
        finally:
            self.metrics.requests.labels(known, str(passing.status)).inc()
            self.metrics.seconds.labels(known).observe(time.monotonic() - started)

    def too_busy(self, why: str) -> Fault:
        """Try again later (429)."""
        later = min(60, max(1, math.ceil(self.seconds_ahead())))
        return Fault(why, status=429, headers={"retry-after": str(later)})


class _Passing:
    """One request on its way through the door."""

    def __init__(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        self.door = door
        self.scope = scope
        self.receive = receive
        self.send = send
        self.status = 0
        self.bytes = 0
        self.whole = scope["method"] in ("GET", "HEAD")

    async def run(self) -> None:
        door = self.door
        headers = dict(self.scope["headers"])
        asks = self.scope["method"] == "POST"
        taken = False
        try:
            door.keys.check(self.scope["path"], headers)
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length[:20]) > door.limits.body:
                raise self._too_large(int(length[:20]))
            if asks:
                if door.taken >= door.limits.queue:
                    raise door.too_busy(f"{door.taken} requests are being answered")
                taken = True
                door.taken += 1
                door.metrics.in_flight.inc()
            async with asyncio.timeout(door.limits.seconds):
                await door.app(self.scope, self._received, self._sent)
        except Fault as fault:
            await self._refuse(fault)
        except TimeoutError:
            late = f"took longer than {door.limits.seconds:g} seconds"
            slow = Fault(f"the answer {late}", status=504)
            if not self.whole:
                slow = Fault(f"the request {late} to come", status=408)
            await self._refuse(slow)
        finally:
            door.held -= self.bytes
            if taken:
                door.taken -= 1
                door.metrics.in_flight.dec()

    async def _received(self) -> Message:
        message = await self.receive()
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self.bytes += size
        self.door.held += size
        if self.bytes > self.door.limits.body:
            raise self._too_large(self.bytes)
        if self.door.held > self.door.limits.held:
            raise self.door.too_busy("the requests that are being answered fill the memory")
        self.whole = not message.get("more_body", False)
        return message

    async def _sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *_SAFE]
            if not self.whole:  # what is still to come is not read
                message["headers"].append((b"connection", b"close"))
        await self.send(message)

    def _too_large(self, size: int) -> Fault:
        most = f"at most {self.door.limits.body:,}"
        return TooLarge(f"the request has {size:,} bytes", expected=most)

    async def _refuse(self, fault: Fault) -> None:
        if self.status:  # a response has begun: its end is all that is left to withhold
            return
        body = to_json(body_of(fault.status, str(fault), fault.field))
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        pairs = [(k.encode(), v.encode()) for k, v in (headers | fault.headers).items()]
        start = {"type": "http.response.start", "status": fault.status, "headers": pairs}
        await self._sent(start)
        await self._sent({"type": "http.response.body", "body": body})


_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
