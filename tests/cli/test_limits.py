"""A count beyond reason is one message at once, not a machine that is busy for days."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from unified_vl.cli.main import app

ABSURD = str(10**12)


@pytest.mark.parametrize(
    "arguments",
    [
        ["schedule", "mixture.yaml", "--rounds", ABSURD],
        ["compare", "a.json", "b.json", "--resamples", ABSURD],
        ["evaluate", "model", "--data", ".", "--resamples", ABSURD],
        ["evaluate", "model", "--data", ".", "--batch-size", ABSURD],
        ["predict", "model", "--task", "caption", "--n", ABSURD],
        ["predict", "model", "--input", "a.jsonl", "--batch-size", ABSURD],
        ["app", "model", "--port", ABSURD],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-2]}",
)
def test_a_count_beyond_reason_is_refused_by_its_name(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in result.output
    assert "less than or equal to" in result.output
