"""What rows of a file are called in the answers, and what of a folder is no input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_predict_and_evaluate import call
from unified_vl.errors import UserError


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"key": "a"}, "a"),
        ({"number": 7}, "7"),
        ({"key": "a", "number": 7}, "a"),
        ({"id": 3}, None),
        ({"number": None}, None),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_rows_are_called_as_the_spec_says(
    tiny, model_directory: Path, tmp_path: Path, row: dict[str, object], key: str, named: bool
) -> None:
    spec = tmp_path / "tiny_copy.yaml"
    text = tiny.specs["tiny_copy"].text
    spec.write_text(text.replace("languages: [en]", "languages: [en]\n  key_column: number"))
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_text(json.dumps({"text": "yes", "task": "tiny_copy"} | row) + "\n")
    task = ("--task", spec) if named else ()
    call("predict", model_directory, *task, "--input", rows, "--output", out)
    expected = key if named or "key" in row else None  # the model's own spec names no column
    assert json.loads(out.read_text())["key"] == expected


def test_a_folder_is_no_input_of_a_task_that_reads_no_image(
    model_directory: Path, tmp_path: Path
) -> None:
    asked = ("predict", model_directory, "--task", "tiny_copy", "--input", tmp_path)
    says = "is a folder, and the task 'tiny_copy' reads no image; expected a file of rows with text"
    with pytest.raises(UserError, match=says):
        call(*asked, "--output", tmp_path / "out.jsonl")
