"""Speed side by side in one run: `python benchmarks/speed.py`.

Prints a table and writes it to `benchmarks/RESULTS.md` and `benchmarks/results.json`.
Every row alternates between the two sides, so that both meet the same machine, and
compares their medians.

Legend: B batch, H heads, S source length, T target length, D width of a head.
"""

from __future__ import annotations

import torch
from tables import REPEATS, keep, medians
from torch.nn import functional as F

from unified_vl.model.convert import from_t5
from unified_vl.model.layers.attention import attend

COMMAND = "python benchmarks/speed.py"
ABOUT = f"medians of {REPEATS} alternating runs, above 1 this project is the faster."


def t5_pair() -> tuple[torch.nn.Module, torch.nn.Module]:
    """An 11.5 M parameter T5 v1.1 of `transformers`, and this project's model of its weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=8192,
        d_model=256,
        d_kv=32,
        d_ff=512,
        num_layers=6,
        num_decoder_layers=6,
        num_heads=8,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    theirs = T5ForConditionalGeneration(config)
    return from_t5(theirs), theirs


def train_step_row(dtype: torch.dtype) -> dict[str, object]:
    """Forward and backward of a batch of 32, 64 + 32 tokens."""
    ours, theirs = (model.to(dtype).train() for model in t5_pair())
    ids_BS = torch.randint(3, 8000, (32, 64))
    batch = {
        "input_ids": ids_BS,
        "attention_mask": torch.ones_like(ids_BS),
        "labels": torch.randint(3, 8000, (32, 32)),
    }

    def step(model: torch.nn.Module) -> None:
        model(**batch).loss.backward()
        model.zero_grad()

    mine, peers = medians(lambda: step(ours), lambda: step(theirs))
    return row(f"forward + backward, {dtype}", mine, peers, "transformers T5, same weights")


def attention_row(dtype: torch.dtype) -> dict[str, object]:
    """Forward and backward of one attention with a learned bias, 64 x 6 heads x 64 x 64."""
    query, key, value = (
        torch.randn(64, 6, 64, 32, dtype=dtype, requires_grad=True) for _ in range(3)
    )
    bias = torch.randn(1, 6, 64, 64, dtype=dtype, requires_grad=True)

    def fused() -> None:
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        y.sum().backward()

    mine, peers = medians(lambda: attend(query, key, value, bias).sum().backward(), fused)
    return row(f"attention with bias, {dtype}", mine, peers, "scaled_dot_product_attention")


def row(name: str, ours: float, peer: float, peer_name: str) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "unit": "ms",
        "ratio": round(peer / ours, 2),
        "peer_name": peer_name,
    }


def main() -> None:
    kinds = (torch.float32, torch.bfloat16)
    rows = [make(dtype) for make in (train_step_row, attention_row) for dtype in kinds]
    keep(rows, "Training step", COMMAND, ABOUT)


if __name__ == "__main__":
    main()
