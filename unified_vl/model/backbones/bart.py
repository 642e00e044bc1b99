"""BART (arXiv 1910.13461) and its kin: mBART (2001.08210), M2M100 and NLLB (2010.11125)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from unified_vl.model.backbones.family import Family
from unified_vl.model.learning.target_loss import Head


class Bart(Family):
    """A text model: its images come from an image branch of this project."""

    lora_targets = ("model.*_attn.*_proj",)

    def __init__(self, model_type: str, name: str) -> None:
        self.model_type = model_type
        self.config_class = f"{name}Config"
        self.model_class = f"{name}ForConditionalGeneration"

    def text(self, config: Any) -> Any:
        return config

    def most_positions(self, config: Any) -> int | None:
        # M2M100's are sines, of any length
        return None if self.model_type == "m2m_100" else int(config.max_position_embeddings)

    def encoder(self, model: Any) -> nn.Module:
        return model.model.encoder

    def decoder(self, model: Any) -> nn.Module:
        return model.model.decoder

    def embedding(self, model: Any) -> nn.Module:
        return model.model.encoder.embed_tokens

    def logits(self, model: Any, hidden: torch.Tensor) -> torch.Tensor:
        bias = getattr(model, "final_logits_bias", None)
        logits = model.lm_head(hidden)
        return logits if bias is None else logits + bias.to(logits.dtype)

    def head(self, model: Any) -> Head | None:
        found, bias = super().head(model), getattr(model, "final_logits_bias", None)
        return found and replace(found, bias=None if bias is None else bias[0].to(model.dtype))


BART = Bart("bart", "Bart")
MBART = Bart("mbart", "MBart")
M2M_100 = Bart("m2m_100", "M2M100")
