"""Images behind addresses that requests name (`--allow-urls`), and nothing else.

A server that fetches what strangers name can be made to read what only it can reach (server-side
request forgery). So: http and https at their own ports alone; every name is looked up once, each of
its addresses must be one of the public internet, and the connection goes to the address that was
looked at; each step of a redirection is a new address like this; what comes is limited in bytes and
in time, and is read as an image or not at all.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from unified_vl import __version__
from unified_vl.serving.faults import Fault, TooLarge

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")
PORTS = {"http": 80, "https": 443}
REDIRECTIONS = 3
CHUNK = 1 << 16
MOST_URL = 2048  # characters


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, also where it wraps another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True)
class Fetcher:
    """Gives the bytes behind an address.

    Attributes:
        most: bytes of a file.
        seconds: for all of it, with its redirections.
        may_reach: whether an address may be connected to.
        ports: by scheme.
    """

    most: int
    seconds: float = 10.0
    may_reach: Callable[[Address], bool] = is_public
    ports: tuple[tuple[str, int], ...] = tuple(PORTS.items())

    def __call__(self, url: str, field: str) -> bytes:
        """The file behind a URL.

        Args:
            url: of a request.
            field: in which it stands.

        Raises:
            Fault: for a URL that is not fetched, or behind which there is no such file.
        """
        until = time.monotonic() + self.seconds
        for _ in range(REDIRECTIONS + 1):
            found = self._step(url, field, until)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise Fault(f"more than {REDIRECTIONS} redirections", field=field)

    def _step(self, url: str, field: str, until: float) -> bytes | str:
        """The bytes behind a URL, or where it says that they are."""
        parts, port = self._parts(url, field)
        address = self._address(parts.hostname or "", port, field)
        connection = _connection(parts, port, address, max(0.1, until - time.monotonic()))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        agent = {"User-Agent": f"unified_vl/{__version__}", "Accept": "image/*"}
        try:
            connection.request("GET", target, headers={**agent, "Accept-Encoding": "identity"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                return response.headers.get("location", "")
            if response.status != 200:
                raise Fault(f"the address answers {response.status}", field=field)
            return self._read(response, connection, field, until)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Fault("the address cannot be read", field=field) from error
        finally:
            connection.close()

    def _read(
        self,
        response: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        field: str,
        until: float,
    ) -> bytes:
        found = b""
        while chunk := response.read1(CHUNK):
            found += chunk
            if len(found) > self.most:
                raise TooLarge(
                    "the file behind the address is too large",
                    field=field,
                    expected=f"at most {self.most:,} bytes",
                )
            left = until - time.monotonic()
            if left <= 0:
                raise Fault(f"the address took longer than {self.seconds:g} seconds", field=field)
            if connection.sock is not None:
                connection.sock.settimeout(left)
        return found

    def _parts(self, url: str, field: str) -> tuple[SplitResult, int]:
        ports = dict(self.ports)
        try:
            parts = urlsplit(url)
            usual = ports.get(parts.scheme)
            port = parts.port or usual
        except ValueError as error:
            raise Fault("is no address", field=field) from error
        plain = len(url) <= MOST_URL and url.isascii() and url.isprintable() and " " not in url
        if usual is None or not parts.hostname or not plain or parts.username is not None:
            raise Fault("is no address that is fetched", field=field, expected="http or https")
        if port != usual:
            raise Fault(f"the port {port} is not fetched from", field=field, expected=str(usual))
        return parts, usual

    def _address(self, host: str, port: int, field: str) -> str:
        """The address to connect to; all of a name must be allowed.

        Raises:
            Fault: alike for names that are not known and such that may not be reached: what is
                there is not told.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            named = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        except (OSError, ValueError, UnicodeError):
            named = []
        if not named or not all(map(self.may_reach, named)):
            raise Fault("the address is not one of the public internet, or not known", field=field)
        return str(named[0])


def _connection(
    parts: SplitResult, port: int, address: str, seconds: float
) -> http.client.HTTPConnection:
    """A connection to an address that was looked at, under the name that the URL has."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    else:
        connection = http.client.HTTPSConnection(
            host, port, timeout=seconds, context=ssl.create_default_context()
        )

    def connect(to: tuple[str, int], *arguments: object, **more: object) -> socket.socket:
        return socket.create_connection((address, port), timeout=seconds)

    connection._create_connection = connect  # type: ignore[attr-defined]
    return connection
