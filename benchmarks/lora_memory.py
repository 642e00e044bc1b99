"""Memory of a step with low-rank adapters, beside one that trains all weights with AdamW.

    python benchmarks/lora_memory.py                         # d_model 1024, 24 + 24 layers; records
    python benchmarks/lora_memory.py --width 256 --layers 2  # to try it, without a record

A run of a text task is made in a temporary folder, with random weights and ZeRO 0 in fp32. Each
way of training is a process of its own that makes some updates through the engine; memory is the
peak of its RSS, and that above what it was after the imports. Nothing is saved.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tables import keep, line, processor_name

COMMAND = "python benchmarks/lora_memory.py"
WIDTH, LAYERS, RANK = 1024, 24, 16
UPDATES = 2  # AdamW's state is there after the first
SPEC = """\
task: copy
version: 1
about: Say it again.
data: {reader: csv, path: rows.csv, splits: {train: all}, languages: [en]}
fields:
  text: {kind: text, column: text}
example: {source: "{text}", target: "{text}"}
score: [{metric: exact_match, against: text, primary: true}]
"""
RUN = """\
run: memory
version: 1
mixture: mixture.yaml
data: .
tokenizer: tokenizer
output: output
steps: 2
batch_size: 4
max_source_tokens: 64
max_target_tokens: 64
validation_rows: 0
model:
  d_model: {width}
  d_kv: 64
  d_ff: {inner}
  num_layers: {layers}
  num_heads: {heads}
  vision: {{kind: patches, image_size: [32, 32], patch_size: 16}}
"""
CASES = {"full": [], "lora": [f"lora={{rank: {RANK}}}"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=WIDTH, help="d_model")
    parser.add_argument("--layers", type=int, default=LAYERS, help="of encoder and decoder each")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case is not None:
        print(json.dumps(measure(args.folder, args.case)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_run(folder, args.width, args.layers)
        found = {case: in_a_process(case, folder) for case in CASES}
    full, lora = found["full"], found["lora"]
    size = f"d_model {args.width}, {args.layers} + {args.layers} layers"
    rows = [
        line(f"{what}, {size}", lora[key], full[key], "MB", lora[key], full[key], "all by AdamW")
        for key, what in (("peak", "peak of RSS"), ("above", "above the imports"))
    ]
    for row in rows:
        row["of the peer"] = round(float(str(row["ours"])) / float(str(row["peer"])), 3)
    told = f"rank {RANK} beside attention trains {lora['trained']:,} of {full['trained']:,} weights"
    about = (
        f"{processor_name()}; {told}; {UPDATES} updates of 4 rows in fp32 with ZeRO 0, each way a "
        f"process of its own, one thread; the ratio is the peer's memory by ours "
        f"(ours is {rows[0]['of the peer']} of the peer's, above the imports "
        f"{rows[1]['of the peer']})."
    )
    if (args.width, args.layers) == (WIDTH, LAYERS):
        keep(rows, "Memory of low-rank adapters", COMMAND, about)
    else:
        print(json.dumps(rows, indent=1), about, sep="\n")


def make_run(folder: Path, width: int, layers: int) -> None:
    """Data, a tokenizer and a run file."""
    from unified_vl.specs.load import load_tasks
    from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer

    words = [f"the {a} {b} of number {n}" for n in range(40) for a, b in (("red", "cat"),)]
    (folder / "rows.csv").write_text("text\n" + "".join(f"{each}\n" for each in words))
    (folder / "copy.yaml").write_text(SPEC)
    (folder / "mixture.yaml").write_text("mixture: one\nversion: 1\ntasks: [{spec: copy.yaml}]\n")
    sizes = {"width": width, "inner": 11 * width // 4, "layers": layers, "heads": width // 64}
    (folder / "run.yaml").write_text(RUN.format(**sizes))
    tasks = load_tasks([folder / "copy.yaml"])
    train_tokenizer(texts_of_specs(tasks, folder), tasks, folder / "tokenizer", 300, None)


def in_a_process(case: str, folder: Path) -> dict[str, float]:
    """What `measure` finds in a process of its own."""
    command = [sys.executable, __file__, "--case", case, "--folder", str(folder)]
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path, case: str) -> dict[str, float]:
    """Megabytes of some updates, and how many weights they train."""
    from unified_vl.specs.load import load_run
    from unified_vl.training.build import build
    from unified_vl.training.distributed.engine import Engine
    from unified_vl.training.distributed.process import start_process
    from unified_vl.training.optimizers.registry import build_optimizer

    run = load_run(folder / "run.yaml", CASES[case])
    process = start_process()
    imports = peak()
    parts = build(run)
    model = parts.model
    optimizer = build_optimizer(model, run.optimizer)
    with contextlib.closing(Engine(process, model, optimizer, run)) as engine:
        (batch,) = parts.streams["copy"].micro_batches(0, 0, 1, 1)
        for _ in range(UPDATES):
            logits_BTV = engine.outputs(batch).logits
            assert logits_BTV is not None
            engine.backward(logits_BTV.float().logsumexp(-1).mean())
            engine.step(1e-4)
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        return {"peak": peak(), "above": peak() - imports, "trained": trained}


def peak() -> float:
    """The most memory that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
