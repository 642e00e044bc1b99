"""One rank of a job that meets one fault after the other, told by a line of JSON each.

Arguments: this folder's `squares`, and where to write.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from unified_vl.errors import TrainingEnded, UserError
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.load import load_run
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import start_process
from unified_vl.training.record.models import ModelWriter
from unified_vl.training.trainer import train

STAGES = ("zero0", "zero1", "zero2", "zero3", "zero0_bf16", "zero1_bf16")
ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
QUICK = ("validation_rows=0", "checkpoint_every=100")
RANK = int(os.environ["RANK"])


@contextlib.contextmanager
def at_step(step: int, method: str, fault: Callable[[], Any], rank: int = 1) -> Iterator[None]:
    """Before `rank` calls a method of its engine for the `step`th time, the fault happens."""
    calls = 0
    before = getattr(Engine, method)

    def faulty(self: Engine, *arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == step and rank == RANK:
            fault()
        return before(self, *arguments, **more)

    with mock.patch.object(Engine, method, faulty):
        yield


@contextlib.contextmanager
def gradient_times(step: int, factor: float) -> Iterator[None]:
    """On rank 1 the loss of `step`, and with it the gradient, is multiplied."""
    calls = 0
    before = Engine.backward

    def faulty(self: Engine, loss: torch.Tensor, **more: Any) -> None:
        nonlocal calls
        calls += 1
        before(self, loss * factor if calls == step and RANK == 1 else loss, **more)

    with mock.patch.object(Engine, "backward", faulty):
        yield


class Killed(BaseException):
    """What no handler of a process would get to see."""


@contextlib.contextmanager
def at_best_model(time: int, fault: Callable[[], Any]) -> Iterator[None]:
    """Before the best model is written for the time `time`, the fault happens."""
    calls = 0
    write = ModelWriter.write_best

    def faulty(self: ModelWriter, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == time:
            fault()
        write(self, *arguments)

    with mock.patch.object(ModelWriter, "write_best", faulty):
        yield


def die() -> None:
    raise Killed


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def main(squares: Path, output: Path) -> None:
    start_process()

    def job(name: str, *overrides: str, resume: bool = False) -> None:
        run = load_run(squares / "run.yaml", [f"output={output / name}", *overrides])
        told: dict[str, Any] = {"name": name, "kind": None, "code": 0, "message": ""}
        try:
            train(run, resume=resume, progress=False)
        except (UserError, TrainingEnded) as error:
            told.update(kind=type(error).__name__, message=str(error))
            told["code"] = getattr(error, "exit_code", 2)
        print(json.dumps(told), flush=True)

    def here(key: str, rank_0: str, rank_1: str) -> str:
        return f"{key}={squares / (rank_1 if RANK else rank_0)}"

    with at_step(3, "step", lambda: os.kill(os.getpid(), signal.SIGTERM)):
        job("sigterm")
    with at_step(2, "save", fill_the_disk):
        job("full")
    best = ("validate_every=2", "checkpoint_every=2", "keep_checkpoints=1")
    with contextlib.suppress(Killed), at_best_model(2, die):
        job("best_killed", *best)
    job("best_killed", *best, resume=True)
    model = UnifiedVLForConditionalGeneration
    with mock.patch.object(model, "save_pretrained", lambda *_, **__: fill_the_disk()):
        job("best_full", *best)
    job("task", here("mixture", "mixture.yaml", "other_order.yaml"))
    job("graph", here("mixture", "mixture.yaml", "no_contrast.yaml"))
    job("bad_on_one", here("data", "data", "bad_data"))
    job("bad_on_all", f"data={squares / 'bad_data'}")
    job("skipped_on_one", here("data", "data", "more_skipped"), "validation_rows=0")
    job("broken", f"data={squares / 'broken'}", "workers=2")
    job("no_run_file_on_one", here("tokenizer", "tokenizer", "nowhere"))
    refusal = UserError("DeepSpeed refuses it")
    with mock.patch.object(Engine, "__init__", side_effect=refusal):
        job("no_engine_on_all")
    for stage in STAGES:  # the last update is refused, so the weights are those of step 3
        engine = (f"engine={ENGINES / stage}.json", "optimizer.decay=constant")
        job(f"{stage}-good", *engine, "steps=3", *QUICK)
        with gradient_times(4, float("nan")):
            job(f"{stage}-nan", *engine, "steps=4", *QUICK)
        with gradient_times(4, 1e6):
            job(
                f"{stage}-spike", *engine, "steps=4", "faults.window=2", "faults.sigmas=1e3", *QUICK
            )
    with gradient_times(4, float("inf")):
        job("abort", "faults.policy=abort", *QUICK)
    if RANK == 0:
        for stage in STAGES[:4]:
            shutil.copytree(squares / f"alone-{stage}", output / f"widened-{stage}")
    torch.distributed.barrier()
    exact = ("model.dropout_rate=0", "optimizer.eps=1e-3", "validation_rows=0")
    for stage in STAGES[:4]:
        engine = f"engine={ENGINES / stage}.json"
        job(f"widened-{stage}", engine, *exact, resume=True)
        with at_step(3, "step", lambda: os.kill(os.getpid(), signal.SIGINT), rank=0):
            job(f"narrowed-{stage}", engine, *exact)
    with at_step(2, "outputs", lambda: time.sleep(3600)):
        job("hang", "hang_timeout=6", "validation_rows=0")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
