"""Ideas of published systems: each row is a run that can be read, and stands in its page."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/systems.md").read_text(encoding="utf-8")


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("systems")


def test_every_row_is_a_run_that_differs_from_the_plain_one(systems: Any, tmp_path: Path) -> None:
    runs = {
        name: systems.write_run(name, 0, 8, tmp_path / f"{name}-0-1" / "whole")
        for name in systems.IDEAS
    }
    plain = runs.pop(systems.PLAIN)
    for name, run in runs.items():
        (first, *_) = run.loaded_mixture.specs
        assert first.task == systems.IDEAS[name].task, "what all are scored by"
        same = run.loaded_mixture.tasks == plain.loaded_mixture.tasks
        assert not (same and run.model == plain.model), name


def test_the_page_has_all_rows_and_its_links_lead_somewhere(systems: Any) -> None:
    named = set(re.findall(r"row `(\w+)`", PAGE))
    assert named == systems.IDEAS.keys() - {systems.PLAIN}
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_means_and_deviations_stand_in_the_table(systems: Any) -> None:
    class Options:
        seconds, test = 300.0, 200

    results = [
        {
            "name": name,
            "seed": seed,
            "updates": 100,
            "seconds": 300,
            "chrf": chrf,
            "exact_match": 1.0,
        }
        for name, seed, chrf in (("plain", 0, 40.0), ("plain", 1, 42.0), ("masked", 0, 44.0))
    ]
    table = systems.as_table(results, "python benchmarks/systems.py", Options)
    assert (
        "| plain | OFA, GIT: captions are written, nothing else is learnt | 2 | 100 | 300 |"
        in table
    )
    assert "| 100 | 300 | 41.0 ± 1.4 | 1.0 ± 0.0 |" in table
    assert "| 1 | 100 | 300 | 44.0 | 1.0 |" in table
