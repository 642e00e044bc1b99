"""Videos on the page: what is uploaded, and what is shown of what the model read."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from tests import filming
from unified_vl.app.answer import film_of
from unified_vl.app.inputs import LIMITS, inputs_of, read_values
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import UserError
from unified_vl.inference.inputs import input_row
from unified_vl.specs.task import TaskSpec, load_task


@pytest.fixture
def watch(tmp_path: Path) -> TaskSpec:
    (tmp_path / "watch.yaml").write_text(filming.WATCH)
    return load_task(tmp_path / "watch.yaml")


def read(spec: TaskSpec, files: list[Path]) -> Example:
    (clip,) = inputs_of(spec)
    values = read_values(spec, {clip: [str(path) for path in files]})
    builder = ExampleBuilder(spec, ImageLoader(None, (8, 8)))
    return builder.build(input_row(spec, values, "en"), seed=None, with_target=False)


def test_a_file_and_its_frames_are_the_same_film(watch: TaskSpec, tmp_path: Path) -> None:
    folder = filming.folder_of(tmp_path / "frames", 12)
    frames = [folder / f"f{number}.png" for number in reversed(range(12))]
    file = filming.film(tmp_path / "a.mp4", 12)
    films = [film_of(read(watch, frames)), film_of(read(watch, [file]))]
    shown = []
    for url in films:
        assert url is not None and url.startswith("data:image/webp;base64,")
        film = PILImage.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        assert getattr(film, "n_frames", 1) == 4
        film.seek(3)
        shown.append(np.asarray(film.convert("L")).mean())
    assert shown[0] == pytest.approx(filming.shades(12)[10], abs=4)
    assert shown[1] == pytest.approx(shown[0], abs=4)


def test_a_task_without_a_video_shows_none(watch: TaskSpec) -> None:
    example = Example("say", "en", "k", (), (), {}, {}, "input:1", None)
    assert film_of(example) is None


def test_what_is_no_film_is_said(watch: TaskSpec, tmp_path: Path) -> None:
    (clip,) = inputs_of(watch)
    with pytest.raises(UserError, match="clip: is empty"):
        read_values(watch, {clip: None})
    (tmp_path / "a.txt").write_text("no")
    with pytest.raises(UserError, match="cannot be read"):
        read(watch, [tmp_path / "a.txt", tmp_path / "a.txt"])
    with pytest.raises(UserError, match="the video of 2 bytes cannot be read"):
        read(watch, [tmp_path / "a.txt"])
    with (tmp_path / "large.mp4").open("wb") as file:
        file.truncate(LIMITS.file + 1)
    with pytest.raises(UserError, match="at most"):
        read(watch, [tmp_path / "large.mp4"])
