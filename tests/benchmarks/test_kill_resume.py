"""Three kills of the many that `benchmarks/kill_resume.py` is for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"


def test_three_killed_runs_end_as_the_one_that_was_not() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--seed", "7", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    *kills, last = done.stdout.splitlines()
    assert last == "3 of 3 bit-identical"
    moment = r"before the first checkpoint|(while|after) saving step \d+"
    point = r"(before|within|between) .*, time \d+(, SIGTERM, code 0)?"
    pattern = rf"kill \d, ({moment}|{point}): bit-identical"
    assert len(kills) == 3
    assert all(re.fullmatch(pattern, kill) for kill in kills)
