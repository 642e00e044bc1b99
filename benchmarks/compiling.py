"""Training with and without compiled blocks: `python benchmarks/compiling.py`.

Loss and gradients of batches of 32 examples whose lengths are log-normal (medians 32 and 16, sigma
0.6), sorted by length within a window as in training, with padding. Both sides have the same
weights and take turns on the same batches; time is the processor's, of one thread, the least of all
turns. Programs are made before, from other sizes than any batch has.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import torch
from packing import batches, our_loss
from record import machine, record

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.training.compiling.compiled_blocks import compile_blocks

COMMAND = " ".join(["python benchmarks/compiling.py", *sys.argv[1:]])
SIZES = {  # vocabulary, width, inner width, layers of each half, heads
    "11.5 M": (8192, 256, 512, 6, 8),
    "58 M": (16000, 512, 1024, 8, 8),
}


def models(size: str, dtype: torch.dtype) -> list[Any]:
    """Two of the same weights."""
    words, width, inner, layers, heads = SIZES[size]
    config = UnifiedVLConfig(
        vocab_size=words,
        d_model=width,
        d_kv=width // heads,
        d_ff=inner,
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=heads,
        dropout_rate=0.0,
    )
    plain, compiled = (UnifiedVLForConditionalGeneration(config) for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    return [model.to(dtype).train() for model in (plain, compiled)]


def measure(size: str, dtype: torch.dtype, packed: bool, chosen: int, repeats: int) -> list[float]:
    """Real tokens a second without and with programs, and processor seconds to make these."""
    both = models(size, dtype)
    start = sum(os.times()[:4])  # the compiler is a process of its own
    compile_blocks(both[1], packed=packed)
    made = sum(os.times()[:4]) - start
    of = batches(chosen, grouped=True)
    least = [[float("inf")] * chosen for _ in both]
    losses = [[0.0] * chosen for _ in both]
    for turn in range(repeats + 1):
        for place, batch in enumerate(of):
            for side, model in enumerate(both):
                begun = time.process_time()
                loss = our_loss(model, batch, packed=packed)
                loss.backward()
                took = time.process_time() - begun
                model.zero_grad()
                losses[side][place] = loss.item()
                if turn:  # the first warms up
                    least[side][place] = min(least[side][place], took)
    torch.testing.assert_close(*losses, rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=0)
    tokens = sum(len(x) for batch in of for part in batch for x in part)
    return [*(tokens / sum(each) for each in least), made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["11.5 M"])
    parser.add_argument("--packing", action="store_true", help="without padding")
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    heads = ["model", "precision", "plain", "compiled", "ratio", "seconds to compile"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- |" + " --: |" * 4]
    rows = []
    padding = ", without padding" if options.packing else ""
    for size in options.sizes:
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            asked = (options.packing, options.batches, options.repeats)
            plain, compiled, made = measure(size, dtype, *asked)
            ratio = compiled / plain
            told = f"{plain:.0f} | {compiled:.0f} | {ratio:.2f} | {made:.0f}"
            lines.append(f"| {size} | {name} | {told} |")
            print(lines[-1], flush=True)
            speeds = {"plain": plain, "compiled": compiled, "ratio": ratio, "compiling": made}
            of = {"name": f"compiled training{padding}, {size}, {name}", "command": COMMAND}
            rows.append({**of, "size": size, "dtype": name, **speeds})
    text = "\n".join(lines)
    heading = f"# Compiled training{padding}\n\n`{COMMAND}`, {machine()}; real tokens a second"
    record(f"{heading}\n\n{text}", rows, apart="name")


if __name__ == "__main__":
    main()
