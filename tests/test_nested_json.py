"""JSON that nests beyond what anybody writes is broken JSON, wherever it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.checkpoint_folders import MANIFEST, find_fault
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.evaluation.results import read_events, read_predictions, read_report
from unified_vl.files import read_json_object
from unified_vl.json_text import parse_json

DEEP = ["[" * 100_000, '{"a":' * 100_000, '{"a": [' * 50_000 + "]}" * 50_000]


@pytest.mark.parametrize("text", DEEP, ids=["lists", "objects", "both, closed"])
@pytest.mark.parametrize(
    ("read", "failure"),
    [
        (read_json_object, UserError),
        (read_report, UserError),
        (read_predictions, UserError),
        (lambda path: Vocabulary.from_json(path.read_text()), ValueError),
        (lambda path: parse_json(path.read_bytes()), ValueError),
    ],
    ids=["config.json", "report.json", "predictions.jsonl", "vocabulary.json", "bytes"],
)
def test_it_is_a_message(
    tmp_path: Path, text: str, read: Callable[[Path], Any], failure: type[Exception]
) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(failure, match="nested more than"):
        read(tmp_path / "file")


@pytest.mark.parametrize("text", DEEP, ids=["lists", "objects", "both, closed"])
def test_what_passes_over_broken_json_passes_over_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "events.jsonl").write_text(f'{text}\n{{"event": "step"}}\n')
    assert read_events(tmp_path / "events.jsonl") == [{"event": "step"}]
    (tmp_path / MANIFEST).write_text(text)
    assert find_fault(tmp_path) == "it has no readable manifest"
