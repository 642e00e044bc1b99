"""Memory and time of the loss over a large vocabulary: `python benchmarks/loss_memory.py`.

Loss and gradients of hidden states and head, with label smoothing, from whole logits and in chunks.
Each case is a process of its own; sides take turns. Of memory the highest beyond what was there
before is taken (VmHWM of the kernel), of time the processor's of the fastest run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from record import machine, record
from torch.nn import functional as F

COMMAND = "python benchmarks/loss_memory.py"
TOKENS, WORDS, WIDTH = 1024, 262_144, 64
REPEATS = 2


def megabytes(key: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024


def measure(side: str) -> dict[str, Any]:
    """Of one side, in this process: MiB and processor seconds."""
    from unified_vl.model.learning.target_loss import (
        Head,
        Targets,
        chunked_loss_sum,
        token_loss_sum,
    )

    torch.manual_seed(0)
    hidden_RM = torch.randn(TOKENS, WIDTH, requires_grad=True)
    weight_VM = (torch.randn(WORDS, WIDTH) * WIDTH**-0.5).requires_grad_()
    labels_R = torch.randint(0, WORDS, (TOKENS,))
    before = megabytes("VmRSS")
    start = time.process_time()
    if side == "whole":
        loss = token_loss_sum(F.linear(hidden_RM, weight_VM), labels_R, 0.1)
    else:
        loss = chunked_loss_sum(hidden_RM, labels_R, Head(weight_VM), Targets(labels_R, 0.1))
    loss.backward()
    seconds = time.process_time() - start
    norms = [float(x.grad.norm()) for x in (hidden_RM, weight_VM) if x.grad is not None]
    return {
        "mib": megabytes("VmHWM") - before,
        "seconds": seconds,
        "numbers": [loss.item(), *norms],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=["whole", "chunks"])
    side = parser.parse_args().side
    if side is not None:
        print(json.dumps(measure(side)))
        return
    found: dict[str, list[dict[str, Any]]] = {"whole": [], "chunks": []}
    for _ in range(REPEATS):
        for side, runs in found.items():
            command = [sys.executable, __file__, "--side", side]
            told = subprocess.run(command, check=True, capture_output=True, text=True)
            runs.append(json.loads(told.stdout.splitlines()[-1]))
    lines = [
        f"| {TOKENS:,} tokens, {WORDS:,} words, width {WIDTH} | MiB | processor seconds |",
        "| --- | --: | --: |",
    ]
    rows = []
    for side, runs in found.items():
        mib, seconds = (min(run[key] for run in runs) for key in ("mib", "seconds"))
        lines.append(f"| {side} | {mib:.0f} | {seconds:.2f} |")
        rows.append({"command": COMMAND, "side": side, "mib": mib, "seconds": seconds})
    whole, chunks = (runs[0]["numbers"] for runs in found.values())
    assert all(abs(a / b - 1) < 1e-4 for a, b in zip(whole, chunks, strict=True)), (whole, chunks)
    memory, times = (rows[0][key] / rows[1][key] for key in ("mib", "seconds"))
    lines.append(f"\nWhole: {memory:.1f} times the memory, {times:.2f} times the time.")
    text = "\n".join(lines)
    print(text)
    record(f"# Loss of a large vocabulary\n\n`{COMMAND}`, {machine()}\n\n{text}", rows)


if __name__ == "__main__":
    main()
