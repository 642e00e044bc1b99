"""What tests of readers share: a spec in a few words, and its rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.data.rows.sources import TaskData
from unified_vl.readers.registry import READERS
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


EVERYTHING = """\
task: everything
version: 1
about: Read every column.
data: {{reader: {reader}, {files}, splits: {{train: train}}, languages: [en]}}
fields: {{name: {{kind: text, column: key}}}}
example: {{source: "{{name}}", target: "{{name}}"}}
score: [{{metric: exact_match, against: name, primary: true}}]
report_by: [{columns}]
"""
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read_all(tmp_path: Path) -> Read:
    """Rows of a reader: of JSON values, or texts as they are, by the names of its files.

    `without` names columns to leave out.
    """

    def read(reader: str, without: tuple[str, ...] = (), **files: Any) -> list[dict[str, Any]]:
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
        names = ", ".join(f"{name}: {name}.json" for name in files)
        said = "path: path.json" if list(files) == ["path"] else f"files: {{{names}}}"
        columns = [name for name in READERS[reader].columns or () if name not in without]
        spec = EVERYTHING.format(reader=reader, files=said, columns=", ".join(columns))
        (tmp_path / "task.yaml").write_text(spec)
        return [
            dict(row.columns)
            for row in TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
        ]

    return read
