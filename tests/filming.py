"""Small films of one colour a frame, in every form in which a row may hold them, and a task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 16
WATCH = """
task: watch
version: 1
about: Say what happens.
data:
  {reader: jsonl, path: "watch_{split}.jsonl", splits: {train: train, validation: train},
   languages: [en], on_bad_row: skip}
fields:
  clip: {kind: video, column: clip, frames: 4}
  caption: {kind: text, column: caption}
example: {source: "{task} {clip}", target: "{caption}"}
generate: {method: greedy, max_tokens: 8}
score: [{metric: exact_match, against: caption, primary: true}]
"""


def shades(count: int) -> list[int]:
    """A grey for each frame, far enough apart to be told from each other after any codec."""
    return [20 + 200 * number // max(count - 1, 1) for number in range(count)]


def frames(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (SIDE, SIDE), (grey,) * 3) for grey in shades(count)]


def folder_of(path: Path, count: int) -> Path:
    """A folder whose names sort otherwise as texts than as people count, and a file beside."""
    path.mkdir(parents=True)
    for number, frame in enumerate(frames(count)):
        frame.save(path / f"f{number}.png")
    (path / "notes.txt").write_text("of no frame")
    return path


def film(path: Path, count: int, rate: int = 25, codec: str = "mpeg4", **options: Any) -> Path:
    """A video file of shades of grey."""
    return film_of(path, frames(count), rate, codec, **options)


def film_of(
    path: Path, shown: Sequence[Image.Image], rate: int = 25, codec: str = "mpeg4", **options: Any
) -> Path:
    """A video file of these frames."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or None)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for frame in shown:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame))))
        container.mux(stream.encode(None))
    return path


def animation(path: Path, count: int, **options: Any) -> Path:
    first, *rest = frames(count)
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=rest, duration=40, **options)
    return path


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
