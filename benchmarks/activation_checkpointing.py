"""Memory and time of activation checkpointing: `python benchmarks/activation_checkpointing.py`.

Each case is a process of its own: a model of random weights and an update on random ids with AdamW,
twice. Of memory the highest is taken (the kernel's `VmHWM`), of time the processor's of the
fastest update.
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

COMMAND = "python benchmarks/activation_checkpointing.py"
SHAPES = {"small": (128, 6, 16), "large": (256, 8, 16)}  # width, layers of each half, rows
LENGTH = 128  # ids of a source and of a target


def measure(shape: str, checkpointed: bool) -> dict[str, Any]:
    """Of one case: peak MiB, processor seconds of an update, and its losses."""
    from unified_vl.model.configuration import UnifiedVLConfig
    from unified_vl.model.unified import UnifiedVLForConditionalGeneration

    width, layers, rows = SHAPES[shape]
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        vocab_size=1000,
        d_model=width,
        d_kv=64,
        d_ff=4 * width,
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=width // 64,
        dropout_rate=0.1,
    )
    model = UnifiedVLForConditionalGeneration(config).train()
    if checkpointed:
        model.checkpoint_activations()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.randint(9, 1000, (2, rows, LENGTH))
    mask = torch.ones_like(ids[0])
    seconds, losses = [], []
    for _ in range(2):
        start = time.process_time()
        loss = model(ids[0], mask, labels=ids[1], use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.process_time() - start)
        losses.append(loss.item())
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {"mib": peak / 1024, "seconds": min(seconds), "losses": losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=2, metavar=("SHAPE", "CHECKPOINTED"))
    case = parser.parse_args().case
    if case is not None:
        print(json.dumps(measure(case[0], case[1] == "True")))
        return
    lines = [
        "| model | checkpointing | peak MiB | processor seconds an update |",
        "|---|---|--:|--:|",
    ]
    rows = []
    for shape, (width, layers, batch) in SHAPES.items():
        found = {}
        for on in (False, True):
            told = subprocess.run(
                [sys.executable, __file__, "--case", shape, str(on)],
                check=True,
                capture_output=True,
                text=True,
            )
            found[on] = json.loads(told.stdout.splitlines()[-1])
            name = f"{width} wide, 2 x {layers} layers, {batch} x {LENGTH} ids"
            mib, seconds = found[on]["mib"], found[on]["seconds"]
            lines.append(f"| {name} | {'on' if on else 'off'} | {mib:.0f} | {seconds:.1f} |")
            rows.append({"command": COMMAND, "shape": shape, "checkpointed": on, **found[on]})
        assert found[True]["losses"] == found[False]["losses"], "the same updates"
    text = "\n".join(lines)
    print(text)
    record(f"# Activation checkpointing\n\n`{COMMAND}`, {machine()}\n\n{text}", rows)


if __name__ == "__main__":
    main()
