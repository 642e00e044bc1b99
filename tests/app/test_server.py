"""unified_vl/app/server.py and unified_vl/cli/answering/app.py."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.app.conftest import Served, file_data
from unified_vl.app.examples import find_examples
from unified_vl.app.server import make_app, serve
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_question_is_answered_as_in_python(served: Served, picture) -> None:
    (path,) = served.upload(png(picture(1))).json()
    fields = {"image-image": file_data(path), "phrase-text": "a dog"}
    output = served.result(served.ask("tiny_ground", "fa", **fields))["output"]
    shown, said = output["data"]
    expected = served.predictor.predict("tiny_ground", "fa", image=picture(1), phrase="a dog")
    assert ", ".join(f"{v:.1f}" for v in expected.boxes[0]) in said
    (drawn,) = [shown["value"]] if "value" in shown else [shown]
    content = httpx.get(f"{served.url}/gradio_api/file={drawn['path']}").content
    assert Image.open(io.BytesIO(content)).size == (480, 240)


def test_a_picture_of_too_many_pixels_gets_a_message(served: Served) -> None:
    (path,) = served.upload(png(Image.new("1", (6000, 5000)))).json()
    fields = {"image-image": file_data(path), "phrase-text": "a dog"}
    _, said = served.result(served.ask("tiny_ground", "en", **fields))["output"]["data"]
    assert "6,000 x 5,000 pixels; expected at most 25,000,000" in said


def test_what_is_no_picture_gets_a_message(served: Served) -> None:
    for content, name in ((b"<svg/>", "a.svg"), (b"%!PS", "a.png"), (b"", "a.png")):
        (path,) = served.upload(content, name).json()
        fields = {"image-image": file_data(path), "phrase-text": "a dog"}
        result = served.result(served.ask("tiny_ground", "en", **fields))
        assert result["success"], "a bare error would leave the old answer on the page"
        assert "cannot be read" in result["output"]["data"][1]


def test_a_page_of_an_earlier_model_gets_a_message(served: Served) -> None:
    """The server was started anew with another model while a browser kept the page."""
    for task, language, said in (
        ("tiny_copy", "tlh", "unknown language"),
        ("gone", "en", "the model has no such task"),
    ):
        result = served.result(served.ask(task, language, **{"text-text": "a dog"}))
        assert result["success"] and said in result["output"]["data"][1]


def test_examples_outlive_the_hour_that_uploads_are_kept(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unified_vl.app.page import build_page

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    predictor = UnifiedVL(tiny.saved)
    examples = find_examples(tiny.specs.values(), tiny.data, tmp_path)
    page = build_page(predictor, "tiny", examples)
    kept = {file for block in page.blocks.values() for file in getattr(block, "keep_in_cache", ())}
    paths = {v for e in examples["tiny_ground"] for o, v in e.values.items() if o.kind == "image"}
    assert paths and paths <= kept


def test_gradio_missing_is_said_with_the_command(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else found(name)
    )
    with pytest.raises(UserError, match=r"not installed; .*pip install 'unified_vl\[app\]'"):
        make_app(UnifiedVL(tiny.saved), "tiny", tmp_path)


def test_a_port_in_use_is_named(tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port: cannot listen at 127.0.0.1 port {port}"):
            serve(UnifiedVL(tiny.saved), "tiny", port=port)
    with pytest.raises(UserError, match=r"cannot listen at no.such.host.invalid"):
        serve(UnifiedVL(tiny.saved), "tiny", host="no.such.host.invalid", port=0)


def test_the_command_serves_this_machine_only_until_it_is_stopped(
    model_directory: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "unified_vl.cli.main", "app", str(model_directory)]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"open (http://127\.0\.0\.1:\d+)", line)
        assert found, line + process.stderr.read()
        with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
            assert client.get(found[1], timeout=None).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1]
    assert process.returncode == 0, said
    assert not list(temporary.glob("unified_vl_page_*"))
