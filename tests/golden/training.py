"""The first updates of the shipped runs: the loss and the norm of the gradients of each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("train_worker.py")


def training_record(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of each run its updates in their order.

    Args:
        folder: an empty one, for the world, the tokenizers and the outputs.
    """
    _finish([_start(folder, ["demo", "pictures"], {})])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    job = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [{**job, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    _finish([_start(folder, ["two_ranks"], rank) for rank in ranks])
    return {name: _updates(folder / name) for name in ("demo", "pictures", "two_ranks")}


def _start(folder: Path, names: list[str], rank: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), str(folder), *names]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",  # the order of sums depends on it
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": "cpu",
        **rank,
    }
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def _finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, told = process.communicate(timeout=600)
        assert process.returncode == 0, told


def _updates(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    kept = ("task", "loss", "grad_norm", "target_tokens")
    return [{key: step[key] for key in kept} for step in steps]
