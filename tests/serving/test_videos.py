"""Videos in requests: frames as images, or one file, and never a path of the server's."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from tests import filming
from unified_vl.errors import UserError
from unified_vl.serving.limits import Limits
from unified_vl.serving.wire.values import ValueReader
from unified_vl.specs.task import TaskSpec, load_task


@pytest.fixture
def watch(tmp_path: Path) -> TaskSpec:
    (tmp_path / "watch.yaml").write_text(filming.WATCH)
    return load_task(tmp_path / "watch.yaml")


def url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def frame() -> str:
    buffer = io.BytesIO()
    filming.frames(1)[0].save(buffer, "PNG")
    return url("image/png", buffer.getvalue())


def test_a_request_has_frames_or_a_file(watch: TaskSpec, tmp_path: Path) -> None:
    reader = ValueReader(Limits())
    values = reader.values(watch, {"clip": [frame(), frame()]})
    assert [picture.size for picture in values["clip"]] == [(16, 16)] * 2
    film = filming.film(tmp_path / "a.mp4", 3).read_bytes()
    assert reader.values(watch, {"clip": url("video/mp4", film)}) == {"clip": film}


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ("a.mp4", "clip: "),
        (["a.png"], "clip: "),
        (3, "found int in place of an image"),
        ([frame()] * 1000, "found 1000 images"),
        (url("video/mp4", b"12345678901"), "the file has 11 bytes"),
    ],
)
def test_no_path_is_opened_and_limits_hold(
    clip: object, message: str, watch: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filming.film(tmp_path / "a.mp4", 3)
    filming.frames(1)[0].save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    limits = Limits() if message != "the file has 11 bytes" else Limits(file=10)
    with pytest.raises(UserError, match=message):
        ValueReader(limits).values(watch, {"clip": clip})
