"""Each benchmark replaces its own last results and no others."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "record.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_record", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_result_takes_the_place_of_the_last_of_its_benchmark(tmp_path: Path) -> None:
    record = load().record
    record("# Speed\n\nfast\n", [{"command": "speed.py", "ours": 1}], tmp_path)
    record("# Kills\n\n3 of 3\n", [{"command": "kill.py --kills 3", "ours": 3}], tmp_path)
    record("# Speed\n\nfaster\n", [{"command": "speed.py", "ours": 2}], tmp_path)
    record("# Kills\n\n20 of 20\n", [{"command": "kill.py --kills 20", "ours": 20}], tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    assert page == "# Speed\n\nfaster\n\n# Kills\n\n20 of 20\n"
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["ours"] for row in rows] == [2, 20]


def test_rows_of_one_command_with_other_keys_stay_apart_by_name(tmp_path: Path) -> None:
    rows = [
        {"command": "kill.py --kills 3", "name": "kill", "ours": 3},
        {"command": "kill.py --kills 6 --packing", "name": "kill, packing", "ours": 6},
        {"command": "kill.py --kills 20", "name": "kill", "ours": 20},
    ]
    (tmp_path / "results.json").write_text('[{"command": "speed.py"}]')
    for row in rows:
        load().record(f"# {row['name']}\n\n{row['ours']}\n", [row], tmp_path, apart="name")
    found = json.loads((tmp_path / "results.json").read_text())
    assert found == [{"command": "speed.py"}, *rows[1:]]
