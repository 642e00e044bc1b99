"""What was recorded before: losses, norms of gradients and answers stay as they are.

On a machine as the recorded one they are equal to the last bit. Elsewhere kernels sum in another
order: rounding differs, and what it may change is bounded here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.machine import machine
from tests.golden.training import training_record
from tests.processes import run_command

HERE = Path(__file__).parent
# Relative to the recorded number, for machines whose kernels sum in another order. The demo's runs
# train in bfloat16, whose rounding 50 updates carry on (AVX2 for AVX-512 moves them by 0.7 %);
# the rest computes in float32 (2e-7 after 50 updates, 2e-6 of an answer's score).
TOLERANCE = {"demo": 0.03, "pictures": 0.03, "two_ranks": 1e-4, "predictions": 2e-5}


def _close(found: Any, recorded: Any, tolerance: float) -> bool:
    """Whether JSON values are equal, numbers that are no integers up to a tolerance."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        same = found.keys() == recorded.keys()
        return same and all(_close(found[key], recorded[key], tolerance) for key in recorded)
    if isinstance(recorded, list) and isinstance(found, list):
        pairs = zip(found, recorded, strict=False)
        return len(found) == len(recorded) and all(_close(f, r, tolerance) for f, r in pairs)
    if isinstance(recorded, float) and isinstance(found, int | float):
        return found == pytest.approx(recorded, rel=tolerance, abs=tolerance)
    return bool(found == recorded)


def _predictions(folder: Path) -> Any:
    """Made by one thread: the order of sums depends on their number."""
    done = run_command(HERE / "record.py", "--to", folder, "predictions")
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "predictions.json").read_text(encoding="utf-8"))["predictions"]


RECORDED = {"training": training_record, "predictions": _predictions}


@pytest.mark.parametrize("name", RECORDED)
def test_nothing_differs_from_what_was_recorded(tmp_path: Path, name: str) -> None:
    recorded = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    found = RECORDED[name](tmp_path)
    same_machine = machine() == recorded["machine"]
    assert found.keys() == recorded[name].keys()
    different = [
        f"{group} {number}: found {f}, recorded {r}"
        for group, rows in recorded[name].items()
        for number, (f, r) in enumerate(zip(found[group], rows, strict=True))
        if not _close(f, r, 0.0 if same_machine else TOLERANCE.get(group, TOLERANCE["predictions"]))
    ]
    assert not different, "\n".join(different[:20])


def test_the_records_stay_small() -> None:
    assert sum(path.stat().st_size for path in HERE.glob("*.json")) < 300_000
