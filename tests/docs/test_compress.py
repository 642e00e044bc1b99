"""docs/compress.md: the files of the run that it was measured with are a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unified_vl.specs.load import load_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compress.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_are_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("task_specs", "deepspeed_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for kind in ("mixture", "run"):
        (text,) = re.findall(rf"^```yaml\n({kind}: .*?)^```$", PAGE, flags=re.M | re.S)
        (tmp_path / f"{kind}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run = load_run("run.yaml")
    assert [spec.task for spec in run.loaded_mixture.specs] == ["easy_vqa"]
    assert f"{run.steps:,} steps of {run.batch_size} rows" in PAGE
