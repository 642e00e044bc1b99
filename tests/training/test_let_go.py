"""What a training holds is let go when it ends: a process may train many times."""

from __future__ import annotations

import contextlib
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from unified_vl.specs.load import load_run
from unified_vl.training import trainer
from unified_vl.training.distributed.process import stop_process
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
TASKS = Path("/proc/self/task")


def gloo_threads() -> set[str]:
    """Threads of groups of processes that run, where the system lists them."""
    found = set()
    for each in TASKS.glob("*"):
        with contextlib.suppress(OSError):  # it has ended
            if "gloo" in (each / "comm").read_text():
                found.add(each.name)
    return found


@pytest.mark.parametrize("engine", ["zero0", "zero0_bf16", "zero1", "zero1_bf16", "zero2", "zero3"])
def test_model_and_groups_are_gone(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    held, before = [], gloo_threads()  # of other tests in this process
    prepare = trainer._prepare

    def noting(*arguments: Any, **more: Any) -> Any:
        training = prepare(*arguments, **more)
        held.extend(
            map(weakref.ref, (training.engine, training.engine._engine, training.parts.model))
        )
        return training

    monkeypatch.setattr(trainer, "_prepare", noting)
    keys = [f"output={tmp_path}", f"engine={ENGINES / engine}.json", "steps=2", "validation_rows=0"]
    train(load_run(squares / "run.yaml", keys), progress=False)
    gc.collect()
    assert [each() for each in held] == [None, None, None]
    stop_process()
    assert not gloo_threads() - before
