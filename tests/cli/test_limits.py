"""A count beyond reason is one message at once, not a machine that is busy for days."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.errors import UserError

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
        ["check", "a.yaml", "--rows", ABSURD],
        ["check", "a.yaml", "--max-source", ABSURD],
        ["check", "a.yaml", "--max-target", ABSURD],
        ["check", "a.yaml", "--image-tokens", ABSURD],
        ["show", "a.yaml", "--data", ".", "-n", ABSURD],
        ["show", "a.yaml", "--data", ".", "--image-size", ABSURD],
        ["show", "a.yaml", "--data", ".", "--image-tokens", ABSURD],
        ["show", "a.yaml", "--data", ".", "--max-source", ABSURD],
        ["show", "a.yaml", "--data", ".", "--max-target", ABSURD],
        ["retrieve", "model", "an.index", "--top", ABSURD],
        ["retrieve", "model", "an.index", "--candidates", ABSURD],
        ["evaluate", "model", "--data", ".", "--limit", ABSURD],
        ["evaluate-retrieval", "model", "--data", ".", "--images", ABSURD],
        ["evaluate-retrieval", "model", "--data", ".", "--candidates", ABSURD],
        ["evaluate-transfer", "model", "--data", ".", "--size", ABSURD],
        ["evaluate-transfer", "model", "--data", ".", "--limit", ABSURD],
        ["schedule", "mixture.yaml", "--score-every", ABSURD],
        ["schedule", "mixture.yaml", "--seed", str(2**64)],
        ["tokenizer", "train", "--output", "out", "--vocabulary-size", ABSURD],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-2]}",
)
def test_a_count_beyond_reason_is_refused_by_its_name(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in result.output
    assert "less than or equal to" in result.output


@pytest.mark.parametrize("size", ["0", "-5"])
def test_a_tokenizer_has_pieces(size: str) -> None:
    arguments = ["tokenizer", "train", "--output", "out", "--vocabulary-size", size]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 2
    assert "greater than or equal to 1" in result.output


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--concepts", "concepts"),
        ("--train-scenes", "train_scenes"),
        ("--validation-scenes", "validation_scenes"),
        ("--test-scenes", "test_scenes"),
        ("--image-size", "image_size"),
        ("--seed", "seed"),
    ],
)
def test_a_world_beyond_reason_is_refused_before_anything_is_written(
    option: str, field: str, tmp_path: Path
) -> None:
    arguments = ["data", "emoji-world", "--output", str(tmp_path / "world"), option, str(2**64)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError)
    assert f"{field}: {2**64} is too large; expected at most" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
