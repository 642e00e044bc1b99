"""What docs/transformers.md shows runs."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tiny import tiny_model
from unified_vl.inference.saved_models.model_directory import save_model
from unified_vl.specs.load import load_task

ROOT = Path(__file__).parent.parent.parent
TASKS = ("emoji/emoji_caption", "emoji/emoji_ground", "emoji/easy_vqa")


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = [load_task(next((ROOT / "task_specs").rglob(f"{Path(t).name}.yaml"))) for t in TASKS]
    languages = sorted({tag for spec in specs for tag in spec.data.languages})
    answers = [choice for spec in specs for choice in spec.choices]
    saved = tiny_model(specs, languages, tmp_path, answers)
    folder = tmp_path / "runs/demo/model"
    save_model(folder, saved.model, saved.codec, specs, saved.facts)
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 20), "red").save(name)
    page = (ROOT / "docs/transformers.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, scope)
    printed = capsys.readouterr().out
    assert "generated_text" in printed
    assert os.fspath(folder) not in printed
