"""What tests of benchmarks' readers share: all that a reader gives of some files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.data.sources import TaskData
from unified_vl.specs.load import load_task
from unified_vl.specs.readers import READERS

SPEC = """\
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
        spec = SPEC.format(reader=reader, files=said, columns=", ".join(columns))
        (tmp_path / "task.yaml").write_text(spec)
        return [
            dict(row.columns)
            for row in TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
        ]

    return read
