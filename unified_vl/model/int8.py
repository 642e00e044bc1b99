"""Weights in int8, multiplied as such: each output of a matrix has a scale, each input row its own.

Inputs are made int8 as they come (dynamic quantization): a row is divided by its greatest number
over 127, products are sums of whole numbers, and both scales come back. torch.ao does the same
and is to be removed; torchao unties a tied head and cannot be saved as safetensors
(docs/decisions.md, Export).

Legend: R rows, K inputs, N outputs, V vocabulary, M width (d_model).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from unified_vl.errors import UserError
from unified_vl.model.layers.linear import Linear
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

GREATEST = 127


def quantized(weight_NK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole numbers (N, K) from -127 to 127 and the scales (N,) that bring them back."""
    wide_NK = weight_NK.detach().float()
    scale_N = wide_NK.abs().amax(-1).clamp(min=torch.finfo(torch.float32).tiny) / GREATEST
    return (wide_NK / scale_N[:, None]).round().to(torch.int8), scale_N


class Int8Linear(nn.Module):
    """A product without a bias with a matrix of int8."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _product(x, self.weight, self.scale)


class Int8Embedding(nn.Module):
    """Rows of a table of int8."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(rows, width, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(rows))

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        rows = F.embedding(index, self.weight).to(self.scale.dtype)
        return rows * F.embedding(index, self.scale[:, None])


class Int8TiedHead(nn.Module):
    """A head that is the embedding: its rows, and their scales, are the head's outputs."""

    def __init__(self, embedding: Int8Embedding) -> None:
        super().__init__()
        self._embedding = (embedding,)  # not a part, whose weights would be saved twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (embedding,) = self._embedding
        return _product(x, embedding.weight, embedding.scale)


def _product(x: torch.Tensor, weight_NK: torch.Tensor, scale_N: torch.Tensor) -> torch.Tensor:
    x_RK = x.reshape(-1, x.shape[-1])
    scale_R1 = x_RK.abs().amax(-1, keepdim=True).clamp(min=1e-30) * (1 / GREATEST)
    whole_RK = (x_RK / scale_R1).round().to(torch.int8)
    y_RN = torch._int_mm(whole_RK, weight_NK.t()).to(x.dtype) * (scale_R1 * scale_N)
    return y_RN.view(*x.shape[:-1], weight_NK.shape[0])


def take_int8_parts(model: UnifiedVLForConditionalGeneration) -> None:
    """Put int8 parts, which are yet to be filled, in the places of matrices and embedding."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Linear) and module is not model.lm_head:
            part = Int8Linear(module.in_features, module.out_features)
            model.set_submodule(name, part.to(module.weight.device))
    config = model.config
    sizes = (config.vocab_size, config.d_model)
    device = model.encoder.embedding.weight.device
    embedding: Any = Int8Embedding(*sizes).to(device)
    model.encoder.embedding = embedding
    head: Any = Int8Linear(config.d_model, config.vocab_size).to(device)
    model.lm_head = Int8TiedHead(embedding) if config.tie_word_embeddings else head
    model._tied_weights_keys = {}  # tied as it is
    model.all_tied_weights_keys = {}
    config.int8 = True


@torch.no_grad()
def in_int8(model: UnifiedVLForConditionalGeneration) -> UnifiedVLForConditionalGeneration:
    """A copy whose matrices and embedding are int8, in evaluation mode; an int8 model is itself."""
    if is_int8(model):
        return model
    found = copy.deepcopy(model).eval().requires_grad_(False)
    before = {
        name: module.weight
        for name, module in found.named_modules()
        if isinstance(module, Linear | nn.Embedding)
    }
    take_int8_parts(found)
    for name, module in found.named_modules():
        if isinstance(module, Int8Linear | Int8Embedding):
            whole_NK, scale_N = quantized(before[name])
            module.weight.copy_(whole_NK)
            module.scale.copy_(scale_N)
            module.scale.data = module.scale.to(model.dtype)
    return found


def is_int8(model: Any) -> bool:
    """Whether a model's matrices are int8."""
    return bool(getattr(model.config, "int8", False))


def refuse_int8(model: Any, done: str) -> None:
    """Raise for an int8 model, of which something needs the numbers before.

    Raises:
        UserError: then.
    """
    if is_int8(model):
        raise UserError(
            f"a model in int8 cannot be {done}", expected="the model that it was made of"
        )
