"""Training without padding beside T5: `python benchmarks/packing.py`.

Whole updates (loss, gradients, AdamW) of batches of 32 examples whose lengths are log-normal
(medians 32 and 16, sigma 0.6), of a model of 8.4 M parameters with the same weights, in float32 and
in bfloat16. Sides take turns on the same examples; time is the processor's, of one thread, the
least of all turns. Programs of the compiled side are made before.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from record import machine, record

from unified_vl.data.batching import IGNORED, pad
from unified_vl.data.packing import pack
from unified_vl.model.convert import from_t5
from unified_vl.model.learning.target_loss import Targets
from unified_vl.training.compiling.compiled_blocks import compile_blocks

COMMAND = " ".join(["python benchmarks/packing.py", *sys.argv[1:]])
ROWS, WINDOW, WORDS = 32, 16, 8192
Batch = tuple[list[np.ndarray], list[np.ndarray]]


def batches(chosen: int, *, grouped: bool) -> list[Batch]:
    """Batches from all over a window, which is sorted by length as in training, or as it comes."""
    draw = np.random.default_rng(0)
    rows = ROWS * WINDOW
    lengths = [
        np.clip(draw.lognormal(np.log(median), 0.6, rows), 2, most).astype(int)
        for median, most in ((32, 256), (16, 128))
    ]
    ids = [[draw.integers(3, WORDS, n) for n in each] for each in lengths]
    order = np.argsort(sum(lengths), kind="stable") if grouped else np.arange(rows)
    starts = ((np.arange(chosen) + 0.5) * WINDOW / chosen).astype(int) * ROWS
    return [
        ([ids[0][i] for i in order[s : s + ROWS]], [ids[1][i] for i in order[s : s + ROWS]])
        for s in starts
    ]


def models() -> tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]:
    """Ours, ours to be compiled, and T5's, of the same weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"d_model": 256, "d_kv": 32, "d_ff": 512, "num_heads": 8, "num_layers": 4}
    theirs = T5ForConditionalGeneration(
        T5Config(
            vocab_size=WORDS,
            **sizes,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=True,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
    )
    return from_t5(theirs), from_t5(theirs), theirs


def inputs(batch: Batch) -> dict[str, torch.Tensor]:
    sources, targets = batch
    ids_BS, mask_BS = pad(sources, 0, 4)
    labels_BT, _ = pad(targets, IGNORED, 4)
    arrays = {"input_ids": ids_BS, "attention_mask": mask_BS.astype(np.int64), "labels": labels_BT}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def t5_loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    return model(**inputs(batch), use_cache=False).loss


def our_loss(model: torch.nn.Module, batch: Batch, *, packed: bool) -> torch.Tensor:
    made = inputs(batch)
    labels_BT = made.pop("labels")
    packing = None
    if packed:
        lengths = ([len(ids) for ids in side] for side in batch)
        packing = pack(*lengths, made["input_ids"].shape[1], labels_BT.shape[1])
    found = model(
        **made,
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels_BT),
        targets=Targets(labels_BT, logits=False),
        packing=packing,
        use_cache=False,
    )
    return found.target_loss / sum(map(len, batch[1]))


def seconds(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[], torch.Tensor],
) -> float:
    start = time.process_time()
    loss_of().backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.process_time() - start


def measure(dtype: torch.dtype, chosen: int, repeats: int) -> dict[str, float]:
    """Real tokens a second of each side."""
    random, grouped = (batches(chosen, grouped=each) for each in (False, True))
    ours, compiled, theirs = all_of_them = [model.to(dtype).train() for model in models()]
    compile_blocks(compiled, packed=True)
    steps = {side: torch.optim.AdamW(side.parameters(), 1e-4, fused=True) for side in all_of_them}
    sides = {
        "T5, padded": (theirs, random, t5_loss),
        "T5, grouped": (theirs, grouped, t5_loss),
        "ours, grouped": (ours, grouped, partial(our_loss, packed=False)),
        "ours, packed": (ours, grouped, partial(our_loss, packed=True)),
        "ours, packed and compiled": (compiled, grouped, partial(our_loss, packed=True)),
    }
    least = {name: [float("inf")] * chosen for name in sides}
    for turn in range(repeats + 1):
        for place in range(chosen):
            for name, (model, of, loss) in sides.items():
                took = seconds(model, steps[model], partial(loss, model, of[place]))
                if turn:  # the first warms up
                    least[name][place] = min(least[name][place], took)
    return {
        name: sum(len(x) for batch in of for side in batch for x in side) / sum(least[name])
        for name, (_, of, _) in sides.items()
    }


def density(of: Sequence[Batch]) -> float:
    """The share of places in padded batches that hold tokens."""
    padded = sum(t.numel() for b in of for k, t in inputs(b).items() if k != "attention_mask")
    return sum(len(x) for batch in of for side in batch for x in side) / padded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    lines = ["| real tokens/s | " + " | ".join(dtypes) + " |", "| --- |" + " --: |" * len(dtypes)]
    found = {
        name: measure(dtype, options.batches, options.repeats) for name, dtype in dtypes.items()
    }
    rows = []
    for side in found["float32"]:
        lines.append(f"| {side} | " + " | ".join(f"{found[d][side]:.0f}" for d in dtypes) + " |")
        rows += [
            {"command": COMMAND, "side": side, "dtype": d, "tokens_per_second": found[d][side]}
            for d in dtypes
        ]
    told = []
    for dtype, rates in found.items():
        for ours in (side for side in rates if "packed" in side):
            others = (side for side in rates if "packed" not in side)
            ratios = (f"{rates[ours] / rates[side]:.2f} x {side}" for side in others)
            told.append(f"{dtype}: {ours} is {', '.join(ratios)}.")
    shares = (density(batches(WINDOW, grouped=each)) for each in (False, True))
    random, grouped = (f"{100 * share:.0f} %" for share in shares)
    told.append(f"Density: padded {random}, grouped {grouped}, packed 100 %.")
    text = "\n".join([*lines, "", *told])
    print(text)
    record(f"# Training without padding\n\n`{COMMAND}`, {machine()}\n\n{text}", rows)


if __name__ == "__main__":
    main()
