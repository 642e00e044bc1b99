"""One process of a distributed test: the same run with each engine, one after the other.

Arguments: the run file, the folder of the outputs, engine files, overrides, and `--chunked` for
the loss of a large vocabulary, `--workers` to train once more with two threads that read,
`--halves` to train once more and resume in the middle, or `--traced` for blocks that are compiled
without a C++ compiler.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

from unified_vl.data.placed_rows import PlacedRows, ReadRow
from unified_vl.model import backbone
from unified_vl.model.learning import target_loss
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.distributed.process import stop_process
from unified_vl.training.trainer import train


def main(arguments: list[str]) -> None:
    if "--chunked" in arguments:
        backbone.FEWEST_WORDS, target_loss.CHUNK = 1, 700
    if "--traced" in arguments:
        from unified_vl.training.compiling import compiled_blocks

        compiled_blocks.BACKEND = "aot_eager"
    run_file, output, *rest = (a for a in arguments if not a.startswith("--"))
    overrides = [a for a in rest if not a.endswith(".json")]
    for engine in (Path(a) for a in rest if a.endswith(".json")):
        paths = [f"engine={engine}", f"output={Path(output) / engine.stem}"]
        train(load_run(run_file, [*paths, *overrides]), progress=False)
        if "--workers" in arguments:
            beside = [paths[0], f"{paths[1]}-workers", "workers=2", *overrides]
            train_with_workers(load_run(run_file, beside))
        if "--halves" in arguments:
            beside = [paths[0], f"{paths[1]}-halves", *overrides]
            run = load_run(run_file, beside)
            assert run.steps is not None
            train(load_run(run_file, [*beside, f"steps={run.steps // 2}"]), progress=False)
            train(run, resume=True, progress=False)
    stop_process()


def train_with_workers(run: Run) -> None:
    """Two threads read the rows."""
    readers, read = set(), PlacedRows.read

    def noting(self: PlacedRows, *arguments: Any) -> ReadRow:
        readers.add(threading.current_thread().name)
        return read(self, *arguments)

    with mock.patch.object(PlacedRows, "read", noting):
        train(run, progress=False)
    assert any(name.startswith("rows") for name in readers), readers


if __name__ == "__main__":
    main(sys.argv[1:])
