"""unified_vl/app/guard.py, by HTTP: no file of the server comes out, nothing large goes in."""

from __future__ import annotations

import asyncio
import http.client
import io
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from tests.app.conftest import Served, file_data
from unified_vl.app.guard import MOST_BYTES_OF_FORM, UPLOAD, Guard
from unified_vl.app.inputs import MOST_BYTES


def raw(served: Served, path: str, method: str = "GET") -> tuple[int, bytes]:
    """A request whose path no client has tidied up."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc)
    connection.request(method, path)
    response = connection.getresponse()
    try:
        return response.status, response.read()
    finally:
        connection.close()


def png(width: int = 40, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=%2Fetc%2Fpasswd",
        "/gradio_api/file=../../../../../../../../etc/passwd",
        "/gradio_api/file=pyproject.toml",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/x",
        "/gradio_api/file=%00",
        "/gradio_api/file=" + "a/" * 3000,
        "/gradio_api/file//etc/passwd",
        "/gradio_api/proxy=https://example.org/x",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/stream/a/b/1/playlist-file",
        "/monitoring",
        "/docs",
        "/file=/etc/passwd",
        "/static/../../../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_file_of_the_server_comes_out(served: Served, path: str) -> None:
    status, body = raw(served, path)
    assert status in (403, 404)
    assert b"root:" not in body
    assert b"[project]" not in body


def test_the_models_files_and_the_examples_originals_stay_in(
    served: Served,
    tiny,
    model_directory: Path,
    tmp_path: Path,
) -> None:
    link = served.files / "link.json"
    link.symlink_to(model_directory / "config.json")
    try:
        hidden = [model_directory / "config.json", model_directory / "model.safetensors"]
        hidden += [tiny.data / "images/1.png", link, served.files]
        for path in hidden:
            assert path.exists()
            assert raw(served, f"/gradio_api/file={path}")[0] == 403
    finally:
        link.unlink()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/", "/gradio_api/run/predict", "/gradio_api/vibe-edit/", "/gradio_api/cancel"]
)
def test_other_methods_and_routes_are_refused(served: Served, path: str, method: str) -> None:
    assert raw(served, path, method)[0] in (404, 405)


def test_an_upload_can_be_seen_by_who_knows_its_path(served: Served) -> None:
    response = served.upload(png())
    assert response.status_code == 200
    (path,) = response.json()
    assert Path(path).is_relative_to(served.files)
    assert httpx.get(f"{served.url}/gradio_api/file={path}").content == png()


def test_uploads_and_forms_are_limited_in_bytes(served: Served) -> None:
    assert served.upload(b"\0" * (MOST_BYTES + 20_000)).status_code == 413
    url = f"{served.url}/gradio_api/upload"

    def endless():
        yield b"a"

    assert httpx.post(url, content=endless()).status_code == 411
    join = f"{served.url}/gradio_api/queue/join"
    assert httpx.post(join, content=b" " * (MOST_BYTES_OF_FORM + 20_000)).status_code == 413
    assert httpx.post(join, content=b"[" * 100_000).status_code == 403


def test_uploads_are_limited_in_all(tmp_path: Path) -> None:
    """What lies in the page's folder counts, until the hour is over that uploads are kept."""
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            asked.append(message["status"])

    guard = Guard(app, tmp_path, most_bytes=1000, most_in_all=1500)
    headers = [(b"content-length", b"900")]
    scope = {"type": "http", "path": UPLOAD, "method": "POST", "headers": headers}
    asyncio.run(guard(scope, None, send))
    (tmp_path / "a.png").write_bytes(b"\0" * 700)
    asyncio.run(guard(scope, None, send))
    assert asked == [UPLOAD, 507]


@pytest.mark.parametrize("field", ["image-image", "phrase-text"])
@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "http://127.0.0.1:1/a.png", "https://example.org/a.png", "../a", "", None],
)
def test_an_event_may_name_only_what_was_uploaded(
    served: Served, field: str, path: str | None
) -> None:
    before = sorted(served.files.rglob("*"))
    fields = {field: {**file_data(""), "path": path}}
    assert served.ask("tiny_ground", "en", **fields).status_code == 403
    nested = {field: {"a": [{"path": path}]}}
    assert served.ask("tiny_ground", "en", **nested).status_code == 403
    assert sorted(served.files.rglob("*")) == before


def test_the_page_says_that_nothing_comes_from_elsewhere(served: Served) -> None:
    response = httpx.get(served.url)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy and "*" not in policy
    assert 'src="http' not in response.text
    assert 'rel="stylesheet" href="http' not in response.text
