"""Whatever comes, one message with a status of 4xx, and the service goes on."""

from __future__ import annotations

import base64
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from tests.serving.conftest import Running, png, running, url_of
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.serving.door import Keys
from unified_vl.serving.limits import Limits
from unified_vl.serving.service import Service

JSON = {"content-type": "application/json"}
SMALL = png(Image.new("RGB", (8, 8)))
WHOLE = png(Image.effect_noise((300, 200), 80).convert("RGB"))
COPY = {"task": "tiny_copy", "fields": {"text": "a dog"}}


def caption(image: Any, **more: Any) -> dict[str, Any]:
    return {"task": "tiny_caption", "language": "en", "fields": {"image": image}, **more}


def copy(**more: Any) -> dict[str, Any]:
    return {**COPY, **more}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


DEEP = b'{"task": "tiny_copy", "fields": {"text": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
TYPES = "expected application/json or multipart/form-data"
CASES = [
    # headers, body, status, what the message says
    ({}, body(COPY), 415, f"found the content type ''; {TYPES}"),
    ({"content-type": "text/plain"}, body(COPY), 415, TYPES),
    ({"content-type": "application/json; charset=latin-1"}, body(COPY), 415, TYPES),
    ({"content-type": "multipart/form-data"}, b"x", 400, "boundary"),
    ({"content-type": "multipart/form-data; boundary=x"}, b"--y\r\n", 400, ""),
    ({**JSON, "content-encoding": "gzip"}, b"\x1f\x8b", 415, "the body is compressed"),
    (JSON, b"", 400, "the body is not JSON"),
    (JSON, b"{", 400, "the body is not JSON"),
    (JSON, b"\xff\xfe{}", 400, "is not UTF-8"),
    (JSON, b"[1]", 400, "the body is no object; expected a JSON object"),
    (JSON, DEEP, 400, "nested more than 100 deep"),
    (JSON, b"[" * 200_000, 400, "nested more than 100 deep"),
    (JSON, b"1" * 10_000, 400, "the body is not JSON"),
    (JSON, b"{}", 400, "task: is missing"),
    (JSON, body(copy(task=7)), 400, "task: found 7; expected text"),
    (JSON, body(copy(task="tiny_cpoy")), 404, "task: the model has no task 'tiny_cpoy'"),
    (JSON, body(copy(task="tiny_cpoy")), 404, "did you mean 'tiny_copy'?"),
    (JSON, body(copy(task="/etc/passwd.yaml")), 404, "the model has no task"),
    (JSON, body(copy(task="\ud800")), 404, "the model has no task"),
    (JSON, body(copy(task="x" * 100_000)), 404, "the model has no task"),
    (JSON, body(copy(feilds={})), 400, "feilds: is not a known key; did you mean 'fields'?"),
    (
        JSON,
        body(copy(fields={"txet": "a"})),
        400,
        "no field 'txet'; expected 'text'; did you",
    ),
    (JSON, body(copy(fields={"\ud800": "a"})), 400, "reads no field"),
    (JSON, body(copy(fields={})), 400, "text: the task 'tiny_copy' needs the field 'text'"),
    (JSON, body(copy(fields={"text": None})), 400, "needs the field 'text'"),
    (JSON, body(copy(fields={"text": ""})), 400, "text: is empty; expected text"),
    (JSON, body(copy(fields={"text": {"a": 1}})), 400, "text: found {'a': 1}; expected text"),
    (JSON, body(copy(fields={"text": "\ud800"})), 400, "is not UTF-8 text"),
    (JSON, body(copy(fields={"text": float("nan")})), 400, "text: found nan"),
    (JSON, body(copy(fields={"text": "a" * 1_000_000})), 413, "1,000,000 characters; expected at"),
    (JSON, body(copy(fields={"text": "a" * 10_000_000})), 413, "the request has 10,000,"),
    (JSON, body(copy(language="tlh")), 400, "language: unknown language 'tlh'; expected one of en"),
    (JSON, body(copy(language=["en"])), 400, "language: found a list of 1; expected text"),
    (JSON, body(caption("x", language="ger")), 400, "found 'x' in place of an image"),
    (JSON, body(caption(url_of(WHOLE), language="fr")), 400, "expected one of en, de, fa"),
    (JSON, body({**caption(url_of(WHOLE)), "language": None}), 400, "no language is given"),
    (JSON, body(copy(n=0)), 400, "n: "),
    (JSON, body(copy(n=17)), 400, "n: "),
    (JSON, body(copy(n="many")), 400, "n: "),
    (JSON, body(copy(choices=[])), 400, "choices: "),
    (JSON, body(copy(choices=["yes", " "])), 400, "choices.1: "),
    (JSON, body(copy(choices=["yes", "yes"])), 400, "choices"),
    (JSON, body(copy(choices=["a"] * 1001)), 400, "choices: found"),
    (JSON, body(copy(generate={"beam": 2})), 400, "did you mean 'beams'?"),
    (JSON, body(copy(generate={"beams": "x"})), 400, "generate.beams: "),
    (
        JSON,
        body(copy(generate={"beams": 64})),
        400,
        "beams: found 64; expected at most 16",
    ),
    (JSON, body(copy(generate={"max_tokens": 4096})), 400, "expected at most 512"),
    (JSON, body(copy(generate={"temperature": 1.0})), 400, "generate.temperature: "),
    (JSON, body(copy(generate={"method": "score_choices"})), 400, "takes one of the choices"),
    (JSON, body(caption("/etc/passwd")), 400, "image: found '/etc/passwd' in place of an image"),
    (JSON, body(caption("file:///etc/passwd")), 400, "in place of an image"),
    (JSON, body(caption({"path": "/etc/passwd"})), 400, "found dict in place of an image"),
    (JSON, body(caption({"file": "/etc/passwd", "offset": 0, "size": 9})), 400, "found dict"),
    (JSON, body(caption(7)), 400, "found int in place of an image"),
    (JSON, body(caption("http://127.0.0.1:1/a.png")), 400, "fetches no addresses (--allow-urls)"),
    (JSON, body(caption("https://example.org/a.png")), 400, "fetches no addresses"),
    (JSON, body(caption("data:image/png;base64,???")), 400, "image: is not base64"),
    (JSON, body(caption("data:image/png,abc")), 400, "in place of an image"),
    (JSON, body(caption(url_of(b"not an image"))), 400, "cannot be read"),
    (JSON, body(caption(url_of(b""))), 400, "cannot be read"),
    (JSON, body(caption(url_of(b"<svg/>"))), 400, "cannot be read"),
    (JSON, body(caption(url_of(b"%!PS-Adobe"))), 400, "cannot be read"),
    (JSON, body(caption(url_of(WHOLE[: len(WHOLE) // 2]))), 400, "broken or truncated"),
    (
        JSON,
        body(caption(url_of(png(Image.new("1", (6000, 5000)))))),
        413,
        "image: the picture has 6,000 x 5,000 pixels; expected at most 25,000,000 in all",
    ),
    (
        JSON,
        body({"task": "tiny_compare", "fields": {"pictures": [url_of(SMALL)] * 17}}),
        413,
        "found 17 images; expected at most 16",
    ),
    (JSON, body({"task": "tiny_compare", "fields": {"pictures": []}}), 400, "empty list"),
]


@pytest.mark.parametrize(("headers", "content", "status", "said"), CASES)
def test_what_is_wrong_is_said_in_one_message(
    served: Running, headers: dict[str, str], content: bytes, status: int, said: str
) -> None:
    found = httpx.post(f"{served.url}/predict", content=content, headers=headers, timeout=60)
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert said in error["message"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == status
    assert "\n" not in error["message"] and len(error["message"]) < 600
    assert "input:" not in error["message"], "a request is no file"
    assert served.ask(**COPY).status_code == 200, "the service goes on"


FORMS = [
    ({"task": "tiny_caption", "language": "en"}, {"image": b"%PDF"}, 400, "cannot be read"),
    ({"task": "tiny_caption", "language": "en", "image": "/etc/passwd"}, {}, 400, "in place of"),
    ({"task": "tiny_copy", "text": "a", "choices": "x"}, {}, 400, "choices: is not JSON"),
    ({"task": "tiny_copy"}, {"text": b"a"}, 400, "text: found"),
    ({"task": "tiny_copy", "fields": "{}"}, {}, 400, "a part of its own"),
    ({"language": "en"}, {"image": WHOLE}, 400, "task: is missing"),
    (
        {"task": "tiny_choose", "question": "a", "spot": "here"},
        {"picture": WHOLE},
        400,
        "spot: found 'here'; expected the numbers of a box",
    ),
    ({"task": "tiny_compare"}, [("pictures", SMALL)] * 17, 413, "found 17 images"),
    ({f"p{number}": "x" for number in range(100)}, {"image": b"x"}, 400, "Too many fields"),
]


@pytest.mark.parametrize(("parts", "files", "status", "said"), FORMS)
def test_forms_are_no_looser(
    served: Running, parts: dict[str, str], files: Any, status: int, said: str
) -> None:
    pairs = files.items() if isinstance(files, dict) else files
    uploads = [(name, ("a.png", content)) for name, content in pairs] or [("x", ("", b""))]
    found = httpx.post(f"{served.url}/predict", data=parts, files=uploads, timeout=60)
    assert found.status_code == status, found.text
    assert said in found.json()["error"]["message"]
    assert served.ask(**COPY).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/predikt", 404, "did you mean '/predict'?"),
        ("GET", "/../../etc/passwd", 404, "there is no path"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404, "there is no path"),
        ("GET", "/predict", 405, "Method Not Allowed"),
        ("DELETE", "/tasks", 405, "Method Not Allowed"),
        ("POST", "/retrieve", 404, "there is no path '/retrieve'"),
        ("GET", "/docs", 404, "there is no path '/docs'"),
    ],
)
def test_other_paths_are_refused(
    served: Running, method: str, path: str, status: int, said: str
) -> None:
    found = httpx.request(method, f"{served.url}{path}")
    assert found.status_code == status
    assert said in found.json()["error"]["message"]
    assert "root:" not in found.text


def raw(served: Running, *pieces: bytes, half: bool = False) -> bytes:
    """What comes back on a connection of one's own; "" where nothing does."""
    host, _, port = urlsplit(served.url).netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            try:
                head = b"".join(iter(lambda: stream.readline().strip(), b""))
                length = re.search(rb"(?i)content-length: (\d+)", head)
                return head + (stream.read(int(length[1])) if length else b"")
            except ConnectionResetError:
                return b""


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("pieces", "starts"),
    [
        ((HEAD + b"Content-Length: 100\r\n\r\n{",), b""),  # closed half way through a body
        ((HEAD + b"Content-Length: 2\r\n\r\n{}",), b""),  # or behind it
        ((HEAD,), b""),
        ((b"GET /health HT",), b""),
        ((b"\x16\x03\x01\x02\x00\x01",), b"HTTP/1.1 400"),  # TLS
        ((HEAD + b"Content-Length: -5\r\n\r\n",), b"HTTP/1.1 400"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",), b"HTTP/1.1 400"),
    ],
)
def test_broken_connections_end_alone(
    served: Running, pieces: tuple[bytes, ...], starts: bytes
) -> None:
    assert raw(served, *pieces, half=True).startswith(starts)
    assert served.ask(**COPY).status_code == 200


def test_a_body_is_refused_before_it_came(served: Running) -> None:
    announced = raw(served, HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert announced.startswith(b"HTTP/1.1 413")
    assert raw(served, HEAD + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n")[9:12] != b"500"

    def endless() -> Any:
        for _ in range(1000):
            yield b" " * 10_000

    try:
        found = httpx.post(f"{served.url}/predict", content=endless(), headers=JSON, timeout=60)
        assert found.status_code == 413
    except httpx.TransportError:
        pass  # the answer may come while the rest is still sent, to a connection that is closed
    assert served.ask(**COPY).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:80"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": "localhost:9"}, 200),
        ({"host": "[::1]:9"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(
    served: Running, headers: dict[str, str], status: int
) -> None:
    assert httpx.get(f"{served.url}/tasks", headers=headers).status_code == status


def test_a_token_is_asked_for(more_tasks: UnifiedVL) -> None:
    with running(Service(more_tasks, "tiny", keys=Keys("s3cret"))) as found:
        for headers in (
            {},
            {"authorization": "s3cret"},
            {"authorization": "Bearer s3cre"},
            {"authorization": "Basic s3cret"},
            {"authorization": "Bearer é".encode()},
        ):
            refused = httpx.get(f"{found.url}/tasks", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "the token is missing or wrong" in refused.json()["error"]["message"]
            assert refused.json()["error"]["type"] == "authentication_error"
        right = {"authorization": "Bearer s3cret", "host": "models.example"}
        assert httpx.get(f"{found.url}/tasks", headers=right).status_code == 200
        assert httpx.get(f"{found.url}/health").status_code == 200
        assert "s3cret" not in repr(found.service.keys)


def test_a_slow_body_is_given_up(more_tasks: UnifiedVL) -> None:
    service = Service(more_tasks, "tiny", Limits(seconds=0.5))
    with running(service) as found:
        said = raw(found, HEAD + b"Content-Length: 100\r\n\r\n{")
        assert said.startswith(b"HTTP/1.1 408")
        assert b"took longer than 0.5 seconds to come" in said


def test_data_urls_are_read_as_they_are_written(served: Running) -> None:
    for head in ("data:image/png;base64,", "data:image/png;name=a.png;base64,", "DATA:;base64,"):
        url = head + base64.b64encode(WHOLE).decode()
        assert served.ask(**caption(url)).status_code == 200
