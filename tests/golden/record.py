"""Write what the test compares with: `OMP_NUM_THREADS=1 python -m tests.golden.record`.

Only a change that is meant to change losses or answers records again, and says why.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.machine import machine
from tests.golden.predictions import prediction_record
from tests.golden.training import training_record
from unified_vl.files import write_atomically

RECORDS = {"training": training_record, "predictions": prediction_record}


def main(output: Path, names: list[str]) -> None:
    """Record some of them, or all, as OUTPUT/NAME.json."""
    for name in names or RECORDS:
        path = output / f"{name}.json"
        with tempfile.TemporaryDirectory() as folder:
            record = {"machine": machine(), name: RECORDS[name](Path(folder))}
        write_atomically(path, _text(record))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _text(record: dict[str, Any]) -> str:
    """JSON with a line for each update and each answer, so that a diff shows what changed."""
    machine_line = f'"machine": {json.dumps(record["machine"])}'
    ((name, groups),) = [(key, value) for key, value in record.items() if key != "machine"]
    parts = [
        f"{json.dumps(group)}: [\n"
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        + "\n]"
        for group, rows in groups.items()
    ]
    return f"{{{machine_line},\n{json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n}}\n"


if __name__ == "__main__":
    output, names = Path(__file__).parent, sys.argv[1:]
    if names[:1] == ["--to"]:
        output, names = Path(names[1]), names[2:]
    main(output, names)
