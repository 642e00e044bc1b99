"""The first updates of the shipped runs: the loss and the norm of the gradients of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.processes import run_ranks

WORKER = Path(__file__).with_name("train_worker.py")


def training_record(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of each run its updates in their order.

    Args:
        folder: an empty one, for the world, the tokenizers and the outputs.
    """
    run_ranks(WORKER, folder, "demo", "pictures", world=1)
    run_ranks(WORKER, folder, "two_ranks")
    return {name: _updates(folder / name) for name in ("demo", "pictures", "two_ranks")}


def _updates(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    kept = ("task", "loss", "grad_norm", "target_tokens")
    return [{key: step[key] for key in kept} for step in steps]
