"""What tests of readers share: a spec in a few words, and its rows."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.data.sources import TaskData
from unified_vl.specs.load import load_task

SPEC = """\
task: task
version: 1
about: Read.
data: {{{data}}}
fields:
{fields}
example: {{source: "Read {source}", target: "{{answer}}", pick: {pick}}}
score: [{{metric: exact_match, against: answer, primary: true}}]
"""
Open = Callable[..., TaskData]


@pytest.fixture
def open_task(tmp_path: Path) -> Open:
    """The rows of a split: of `data` without its splits and languages, and of its columns.

    A field is text unless the words for its column say more.
    """

    def open_it(data: str, *, split: Any = "train", **fields: str) -> TaskData:
        if "splits:" not in data:
            data += ", splits: {train: train, test: test}"
        if "languages:" not in data:
            data += ", languages: [en]"
        lines = "\n".join(
            f"  {name}: {{column: {words}{'' if 'kind:' in words else ', kind: text'}}}"
            for name, words in fields.items()
        )
        several = (f"{name}: first" for name, words in fields.items() if "many:" in words)
        source = " ".join(f"{{{name}}}" for name in fields if name != "answer") or "{answer}"
        path = tmp_path / "task.yaml"
        pick = "{" + ", ".join(several) + "}"
        text = SPEC.format(data=data, fields=lines, source=source, pick=pick)
        path.write_text(text, encoding="utf-8")
        return TaskData(load_task(path), split, tmp_path)

    return open_it


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """A small image as the bytes of a file, and what its first pixel is."""

    def encode(colour: tuple[int, int, int] = (255, 0, 0), kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), colour).save(buffer, kind)
        return buffer.getvalue()

    return encode
