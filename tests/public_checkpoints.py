"""Checkpoints of T5's kin with random weights, saved in the layout that the hub has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

SIZES = {
    "vocab_size": 1152,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 96,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.1,
    "decoder_start_token_id": 0,
}
T5, MT5 = (T5Config, T5ForConditionalGeneration), (MT5Config, MT5ForConditionalGeneration)
UMT5 = (UMT5Config, UMT5ForConditionalGeneration)
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "t5_v1_0": (T5, {"feed_forward_proj": "relu"}),
    "t5_v1_1": (T5, {"tie_word_embeddings": False}),
    "flan_t5": (T5, {"tie_word_embeddings": False}),
    "ul2": (T5, {"tie_word_embeddings": False, "feed_forward_proj": "gated-silu"}),
    "byt5": (T5, {"tie_word_embeddings": False, "vocab_size": 384, "num_layers": 4}),
    "mt5": (MT5, {"tie_word_embeddings": False}),
    "umt5": (UMT5, {"tie_word_embeddings": False}),
    "umt5_tied": (UMT5, {"tie_word_embeddings": True}),
}
TIED = ("t5_v1_0", "umt5_tied")
TOKENIZER_OF = {"byt5": "ByT5Tokenizer"}


def checkpoint(name: str, directory: Path, **saving: Any) -> torch.nn.Module:
    """A model of a family as `transformers` saves it, and the same as it loads it.

    Args:
        name: of `FAMILIES`.
        directory: where to save.
        saving: of `save_pretrained`; `dtype` before it.
    """
    (config_class, model_class), changes = FAMILIES[name]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SIZES, **changes})).eval()
    with torch.no_grad():
        if name not in TIED:
            head = torch.randn_like(model.lm_head.weight) * 0.3
            model.lm_head.weight = torch.nn.Parameter(head)
            own = dict(model._tied_weights_keys)
            del own["lm_head.weight"]  # or it would not be saved
            model._tied_weights_keys = own
            model.all_tied_weights_keys = own
            model.config.tie_word_embeddings = False
        for module_name, weight in model.named_parameters():
            if "norm" in module_name or "relative" in module_name:
                weight.add_(torch.randn_like(weight) * 0.3)
    model.to(saving.pop("dtype", torch.float32)).save_pretrained(directory, **saving)
    published = directory / "config.json"
    values = json.loads(published.read_text())
    values["tie_word_embeddings"] = changes.get("tie_word_embeddings", True)
    published.write_text(json.dumps(values))
    return model.float()
