"""Tiny models of each family with random weights, saved in the layout that the hub has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

ROWS = 150  # of the embedding
T5GEMMA2 = {
    "model_type": "t5gemma2",
    "encoder": {
        "model_type": "t5gemma2_encoder",
        "boi_token_index": 6,
        "eoi_token_index": 7,
        "mm_tokens_per_image": 4,
        "text_config": {
            "model_type": "t5gemma2_text",
            "vocab_size": ROWS,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention"],
            "max_position_embeddings": 128,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 24,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 4,
        },
    },
    "decoder": {
        "model_type": "t5gemma2_decoder",
        "vocab_size": ROWS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"],
        "max_position_embeddings": 128,
        "final_logit_softcapping": 20.0,
    },
    "image_token_index": 8,
}
BART = {
    "vocab_size": ROWS,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
FLORENCE2 = {
    "model_type": "florence2",
    "text_config": {"model_type": "bart", **BART},
    "vision_config": {
        "model_type": "florence_vision",
        "depths": [1, 1, 1, 1],
        "embed_dim": [8, 16, 16, 24],
        "num_heads": [1, 2, 2, 2],
        "num_groups": [1, 2, 2, 2],
        "window_size": 4,
        "projection_dim": 32,
        "drop_path_rate": 0.1,
    },
    "image_token_id": 8,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "t5gemma2": T5GEMMA2,
    "florence2": FLORENCE2,
    "bart": {"model_type": "bart", **BART},
    "mbart": {"model_type": "mbart", **BART, "scale_embedding": True},
    "m2m_100": {"model_type": "m2m_100", **BART, "scale_embedding": True},
}
ENDS = {  # the end's id, and by how much its embedding is larger
    "t5gemma2": (1, 2.0),
    "florence2": (2, 6.0),
    "bart": (2, 4.0),
    "mbart": (2, 4.0),
    "m2m_100": (2, 1.55),
}
CLASSES = {
    "t5gemma2": "T5Gemma2",
    "florence2": "Florence2",
    "bart": "Bart",
    "mbart": "MBart",
    "m2m_100": "M2M100",
}


def with_rows(family: str, rows: int) -> dict[str, Any]:
    """The configuration of a family whose embedding has so many rows."""
    told = json.dumps(CONFIGS[family]).replace(f'"vocab_size": {ROWS}', f'"vocab_size": {rows}')
    found: dict[str, Any] = json.loads(told)
    return found


def make(
    family: str, directory: Path, seed: int = 0, rows: int = ROWS, **save: Any
) -> transformers.PreTrainedModel:
    """A model that likes to end, so that rows end at different steps, saved in `directory`."""
    config = getattr(transformers, f"{CLASSES[family]}Config").from_dict(with_rows(family, rows))
    torch.manual_seed(seed)
    model = getattr(transformers, f"{CLASSES[family]}ForConditionalGeneration")(config).eval()
    end, louder = ENDS[family]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.endswith(("norm.weight", "norm.bias")):
                weight.copy_(torch.randn_like(weight) * (0.3 if weight.ndim > 1 else 0.1))
        embedding = model.get_input_embeddings().weight
        embedding[end] *= louder
    model.tie_weights()
    model.save_pretrained(directory, **save)
    processor = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    if family in ("t5gemma2", "florence2"):
        side = 16 if family == "t5gemma2" else 64
        said = {**processor, "size": {"height": side, "width": side}}
        (directory / "preprocessor_config.json").write_text(json.dumps(said))
    return model
