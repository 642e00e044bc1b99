"""Training and answering on a GPU: `python benchmarks/gpu.py`, or `make bench-gpu`.

Training is a run, as `unified-vl train` does it: texts of many lengths, a budget of tokens,
no padding, bf16, of about 0.7 B weights; what it says of itself in `events.jsonl` after the first
third is taken: real tokens a second and model FLOP utilisation. Answering is greedy, beside
`generate` of transformers' T5 of the same weights with a static cache, by turns. `--tiny` does the
same with small models on whatever there is, without a record: whether it runs, not how fast.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lora_memory import SPEC
from record import record
from t5_pairs import BATCH, SIZES, SOURCE, TARGET, Pair, pair

from unified_vl.run_record import EVENTS
from unified_vl.specs.load import load_run, load_tasks
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.training.trainer import train

COMMAND = "python benchmarks/gpu.py"
ROWS, WORDS = 4000, 2000
TURNS = 5
LENGTHS = (5.0, 0.7)  # of the logarithm of a row's number of words
ENGINE = {"zero_optimization": {"stage": 0}, "bf16": {"enabled": True}}
LARGE = {"d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_heads": 16}
TINY = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4}
RUN = {
    "run": "gpu",
    "version": 1,
    "mixture": "mixture.yaml",
    "data": ".",
    "tokenizer": "tokenizer",
    "output": "output",
    "engine": "engine.json",
    "packing": True,
    "max_source_tokens": 512,
    "max_target_tokens": 512,
    "validation_rows": 0,
    "keep_best": False,
}
SIZE = "11.5 M"
ANSWERED = "0.7 B, bf16"
SIZES[ANSWERED] = {
    "vocab_size": 32_128,
    "d_model": 1024,
    "d_ff": 2816,
    "num_layers": 24,
    "num_decoder_layers": 24,
    "num_heads": 16,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small models, no record")
    parser.add_argument("--compile", action="store_true", help="the compiled step")
    parser.add_argument("--batch-tokens", type=int, default=65_536)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    if not given.tiny and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --tiny tries it without one")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU"
    trained = training(given)
    lines = [
        "| what | figure |",
        "| --- | --: |",
        f"| real tokens/s of training | {trained['tokens_per_second']:,.0f} |",
        f"| model FLOP utilisation | {trained['mfu']:.1%} |",
        f"| memory of tensors at most, MB | {trained['peak_memory_mb']:,.0f} |",
    ]
    rows: list[dict[str, Any]] = [{"command": COMMAND, "what": "training", **trained}]
    for size in ("demo",) if given.tiny else (SIZE, ANSWERED):
        found = answering(size, device, turns=1 if given.tiny else TURNS)
        ratio = found["theirs"] / found["ours"]
        lines.append(f"| greedy, {size}: times `generate` with a static cache | {ratio:.2f} |")
        rows.append({"command": COMMAND, "what": size, **found, "ratio": ratio})
    text = "\n".join(lines)
    print(text)
    if not given.tiny:
        about = (
            f"on {name}, torch {torch.__version__}: texts of log-normal lengths, "
            f"{given.batch_tokens:,} tokens a step, {LARGE}, one process; answers of "
            f"{BATCH} sources of {SOURCE} tokens, {TARGET} tokens each, the fastest of {TURNS}"
        )
        record(f"# On a GPU\n\n`{COMMAND}` {about}.\n\n{text}", rows)


def training(given: argparse.Namespace) -> dict[str, float]:
    """What a run says of its steps behind the first third."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_run(folder, given)
        train(load_run(folder / "run.yaml"), progress=False)
        lines = (folder / "output" / EVENTS).read_text(encoding="utf-8").splitlines()
    steps = [event["speed"] for event in map(json.loads, lines) if event["event"] == "step"]
    late = steps[len(steps) // 3 :]
    seconds = sum(speed["step_seconds"] for speed in late)
    return {
        "peak_memory_mb": late[-1]["peak_memory_mb"],
        **{
            key: sum(speed[key] * speed["step_seconds"] for speed in late) / seconds
            for key in ("tokens_per_second", "mfu")
        },
    }


def write_run(folder: Path, given: argparse.Namespace) -> None:
    """Texts of random words, their tokenizer, and a run."""
    chosen = random.Random(0)
    words = ["".join(chosen.choices("abcdefghijklmnop", k=5)) for _ in range(WORDS)]
    most = 20 if given.tiny else 400
    lengths = (min(most, round(chosen.lognormvariate(*LENGTHS))) for _ in range(ROWS))
    texts = (" ".join(chosen.choices(words, k=length)) for length in lengths)
    (folder / "rows.csv").write_text("text\n" + "".join(f"{text}\n" for text in texts))
    (folder / "copy.yaml").write_text(SPEC)
    (folder / "mixture.yaml").write_text("mixture: one\nversion: 1\ntasks: [{spec: copy.yaml}]\n")
    (folder / "engine.json").write_text(json.dumps(ENGINE))
    specs = load_tasks([folder / "copy.yaml"])
    train_tokenizer(texts_of_specs(specs, folder), specs, folder / "tokenizer", 4000, None)
    sizes = TINY if given.tiny else LARGE
    vision = {"kind": "patches", "image_size": [32, 32], "patch_size": 16}
    run = {
        **RUN,
        "steps": given.steps,
        "log_every": max(given.steps // 10, 1),
        "checkpoint_every": 10 * given.steps,
        "batch_tokens": 1024 if given.tiny else given.batch_tokens,
        "model": {**sizes, "vision": vision},
        **({"max_source_tokens": 64, "max_target_tokens": 64} if given.tiny else {}),
        **({"compile": True} if given.compile else {}),
        **({} if torch.cuda.is_available() else {"peak_tflops": 0.1}),
    }
    (folder / "run.yaml").write_text(json.dumps(run), encoding="utf-8")


def answering(size: str, device: torch.device, turns: int) -> dict[str, float]:
    """Milliseconds of a batch of greedy answers, here (compiled) and there."""
    models = pair(size)
    if size == ANSWERED:
        models.ours.to(torch.bfloat16)
        models.theirs.to(torch.bfloat16)
    models.ours.to(device)
    models.theirs.to(device)
    placed = Pair(models.ours, models.theirs, models.ids_BS.to(device), models.mask_BS.to(device))
    sides: dict[str, Callable[[], object]] = {
        "ours": placed.write,
        "theirs": lambda: placed.generate(cache_implementation="static"),
    }
    least = dict.fromkeys(sides, float("inf"))
    for turn in range(turns + 1):  # the first warms up
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                least[name] = min(least[name], 1000 * (time.perf_counter() - start))
    return least


if __name__ == "__main__":
    main()
