"""unified_vl/serving/wire/fetching.py: nothing but images of the public internet."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from tests.serving.conftest import Running, png, running
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.serving.service import Service
from unified_vl.serving.wire.fetching import Fetcher, is_public

PICTURE = png(Image.new("RGB", (40, 20), "red"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_addresses_of_the_public_internet(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/a.png", "not one of the public internet"),
        ("http://localhost/a.png", "not one of the public internet"),
        ("http://[::1]/a.png", "not one of the public internet"),
        ("http://2130706433/a.png", "not one of the public internet"),
        ("http://0x7f.1/a.png", "not one of the public internet"),
        ("http://169.254.169.254/latest/meta-data", "not one of the public internet"),
        ("http://no.such.host.invalid/a.png", "not one of the public internet"),
        ("http://example.org:22/", "the port 22 is not fetched from; expected 80"),
        ("https://example.org:80/", "the port 80 is not fetched from; expected 443"),
        ("http://user:secret@example.org/", "expected http or https"),
        ("ftp://example.org/a.png", "expected http or https"),
        ("file:///etc/passwd", "expected http or https"),
        ("http:///a.png", "expected http or https"),
        ("http://[::1/a.png", "is no address"),
        ("http://example.org:99999/", "is no address"),
        ("http://example.org/a\r\nX: y", "expected http or https"),
        ("http://example.org/" + "a" * 3000, "expected http or https"),
    ],
)
def test_other_addresses_are_refused(url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Fetcher(1000)(url, "image")


class Site(BaseHTTPRequestHandler):
    """Pictures, redirections, and what is too large."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        away = {
            "/moved": "/a.png",
            "/round": "/round",
            "/inside": f"http://127.0.0.2:{port}/a.png",
            "/file": "file:///etc/passwd",
            "/nowhere": "",
        }
        if self.path in away:
            self.send_response(302)
            self.send_header("Location", away[self.path])
            self.end_headers()
        elif self.path == "/gone":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PICTURE if self.path == "/a.png" else b"root:" * 200_000)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[str, Fetcher]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    here = ipaddress.ip_address("127.0.0.1")
    yield f"http://127.0.0.1:{port}", Fetcher(100_000, 5, lambda a: a == here, (("http", port),))
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_picture_comes_also_by_a_redirection(site: tuple[str, Fetcher]) -> None:
    url, fetch = site
    assert fetch(f"{url}/a.png", "image") == PICTURE
    assert fetch(f"{url}/moved", "image") == PICTURE


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/round", "more than 3 redirections"),
        ("/inside", "not one of the public internet"),
        ("/file", "expected http or https"),
        ("/nowhere", "more than 3 redirections"),
        ("/gone", "the address answers 404"),
        ("/large", "too large; expected at most 100,000 bytes"),
    ],
)
def test_what_is_no_picture_there_is_one_message(
    site: tuple[str, Fetcher], path: str, said: str
) -> None:
    url, fetch = site
    with pytest.raises(UserError, match=said):
        fetch(url + path, "image")


def test_a_site_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fetch = Fetcher(1000, 0.3, lambda _: True, (("http", port),))
        with pytest.raises(UserError, match="cannot be read"):
            fetch(f"http://127.0.0.1:{port}/a.png", "image")


def test_a_service_fetches_where_it_may(more_tasks: UnifiedVL, site: tuple[str, Fetcher]) -> None:
    url, fetch = site
    with running(Service(more_tasks, "tiny", fetch=fetch)) as found:

        def caption(image: str) -> Any:
            return found.ask(task="tiny_caption", language="en", fields={"image": image})

        expected = more_tasks.predict("tiny_caption", "en", image=PICTURE).text
        assert caption(f"{url}/a.png").json()["prediction"] == expected
        for path in ("/gone", "/large", "/inside"):
            refused = caption(url + path)
            assert refused.status_code in (400, 413) and "root:" not in refused.text
        assert isinstance(found, Running)
