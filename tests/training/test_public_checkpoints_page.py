"""docs/public_checkpoints.md: its commands and its code, on a checkpoint with random weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.public_checkpoints import checkpoint
from tests.public_tokenizers import t5_tokenizer
from unified_vl.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs/public_checkpoints.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint("flan_t5", Path("google/flan-t5-small"))
    t5_tokenizer(Path("google/flan-t5-small"))
    for name in ("mixture.yaml", "see.yaml", "say.yaml"):
        Path(name).write_bytes((squares / name).read_bytes())
    Path("data").symlink_to(squares / "data")
    (shown,) = blocks("yaml")
    run = yaml.safe_load((squares / "run.yaml").read_text()) | yaml.safe_load(shown)
    run |= {"data": "data", "steps": 3, "mixture": "mixture.yaml"}
    Path("run.yaml").write_text(yaml.safe_dump(run))
    commands = blocks("sh")[0].splitlines()
    assert [line.split()[1] for line in commands] == ["tokenizer", "train", "convert"]
    for line in commands:
        found = CliRunner().invoke(app, line.split()[1:])
        assert found.exit_code == 0, (line, found.output, found.exception)
    again, back = blocks("python")
    exec(again, {})
    there: dict[str, object] = {}
    exec(back, there)
    assert there["ids"].shape[1] <= 9  # type: ignore[attr-defined]
    source = there["source"].input_ids[0].tolist()  # type: ignore[attr-defined]
    from unified_vl.codecs.sequence import load_tokenizer

    vocabulary, text = load_tokenizer(Path("tokenizer"))
    assert source == [vocabulary.tag_id("task:say"), *text.encode(" red"), vocabulary.eos_id]
