"""What is read off curves of validation scores."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("continued_tables")


def test_a_mean_curve_goes_scoring_by_scoring(tables: Any) -> None:
    curves = [[[20, 10.0], [40, 30.0]], [[20, 20.0], [44, 50.0]]]
    assert tables.mean_curve(curves) == [(20, 15.0), (42, 40.0)]


@pytest.mark.parametrize(
    ("level", "found"), [(5.0, "20"), (10.0, "20"), (30.0, "40"), (60.0, "> 60")]
)
def test_the_first_scoring_that_reaches_a_level_counts(
    level: float, found: str, tables: Any
) -> None:
    assert tables.updates_until([[20, 10.0], [40, 50.0], [60, 45.0]], level) == found
